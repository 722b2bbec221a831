import { IMAGE_FOLDER, trainOptions } from "./options.js";
import type { Option } from "./table.js";

type Given = ReadonlyMap<Option<unknown>, unknown>;

/** The batch for which the original's learning rate stands. */
const REFERENCE_BATCH = 256;
/** Epochs between two decays of the learning rate. */
const LR_DECAY_FREQ = 30;

/** The given options of a command line that names an image folder: that folder as the data set. */
export function withImageFolder(given: Given, folder: string | undefined): Given {
  const { dataset, data } = trainOptions;
  return folder === undefined
    ? given
    : new Map<Option<unknown>, unknown>([...given, [dataset, IMAGE_FOLDER], [data, folder]]);
}

/**
 * The given options with the original's ImageNet recipe where they leave something open (docs/algorithm.md §5): 90 epochs of
 * batches of 256, weight decay 1e-4, the learning rate in proportion to the batch and a tenth of it every 30 epochs, γ
 * lowered before the epoch. For other data sets, the same as given.
 */
export function withRecipe(given: Given): Given {
  const { dataset, epochs, batchSize, sgd, bop } = trainOptions;
  if (given.get(dataset) !== IMAGE_FOLDER) return given;
  const value = <V>(option: Option<V>, otherwise: V): V => (given.has(option) ? (given.get(option) as V) : otherwise);
  const last = value(epochs, 90);
  const batch = value(batchSize, REFERENCE_BATCH);
  const decays = Math.ceil(last / LR_DECAY_FREQ) - 1;
  const recipe: [Option<unknown>, unknown][] = [
    [epochs, last],
    [batchSize, batch],
    [sgd.weightDecay, 1e-4],
    [sgd.milestones, Array.from({ length: Math.max(decays, 1) }, (_, i) => LR_DECAY_FREQ * (i + 1))],
    [bop.arDecayWhen, "before"],
  ];
  const scaled: [Option<unknown>, unknown] = [sgd.lr, (value(sgd.lr, sgd.lr.default) * batch) / REFERENCE_BATCH];
  return new Map([...recipe, ...given, scaled]);
}
