import { imageInput, type PixelImage, type Predictor, softmax } from "@peekaboo/runtime";
import type { EvaluateOptions } from "../config/config.js";
import { parseConfig } from "../config/config.js";
import { IMAGE_FOLDER } from "../config/options.js";
import type { Guard } from "../console/interrupt.js";
import type { Dataset } from "../data/dataset.js";
import { decodeImage } from "../data/image-folder/decode.js";
import { imagePath, scanImageFolder } from "../data/image-folder/scan.js";
import { findSource } from "../data/sets/sources.js";
import { existingFolder, refuseOtherImages } from "../runs/recorded-images.js";
import type { Reporter } from "../training/reporter.js";
import type { FileEvaluation } from "./evaluate-file.js";
import { openData } from "./open-data.js";
import { loadPredictor } from "./predict.js";

/** Images with their classes, one by one. */
interface Labelled {
  readonly title: string;
  readonly classes: readonly string[];
  readonly imageShape: readonly [number, number, number];
  readonly count: number;
  image(index: number): Promise<PixelImage>;
  label(index: number): number;
}

/** After how many images a signal is looked for and progress told. */
const TURN = 50;
const TOP = 5;

/**
 * Tests a .pab file's network on the test images of its data set, by the runtime: without libtorch.
 * @throws {UserError} when the file or the images are others, damaged or missing; Interrupted after a signal.
 */
export async function evaluatePab(
  file: string,
  options: EvaluateOptions,
  { reporter, guard }: { reporter: Reporter; guard: Guard },
): Promise<FileEvaluation> {
  const network = await loadPredictor("evaluate", file);
  const { description } = network;
  const config = parseConfig(description.provenance.settings ?? {});
  const { classes, graph } = description;
  const recorded = { path: file, config, numClasses: classes.length, classes, imageShape: graph.input, folder: null };
  const images =
    config.dataset === IMAGE_FOLDER
      ? await folderImages(options.data ?? existingFolder(recorded) ?? config.data ?? "", graph.input)
      : datasetImages(await openData({ ...config, ...options }, { reporter, signal: guard.signal }), graph.input);
  refuseOtherImages(recorded, { ...images, imageShape: [...images.imageShape] }, { operation: "evaluate" });
  const count = Math.min(images.count, options.testLimit ?? images.count);
  reporter.begin?.({ kind: "test", total: count });
  const sums = { loss: 0, correct: 0, top5: 0 };
  for (let i = 0; i < count; i++) {
    if (i % TURN === 0) {
      await guard.check();
      reporter.advance?.(i);
    }
    judge(network, await images.image(i), images.label(i), sums);
  }
  reporter.advance?.(count);
  reporter.end?.();
  const percent = (share: number) => (100 * share) / count;
  const { correct, top5, loss } = sums;
  const arch = description.network;
  return {
    file,
    arch,
    dataset: config.dataset,
    images: count,
    accuracy: percent(correct),
    top5: percent(top5),
    loss: loss / count,
  };
}

function judge(
  { description, engine }: Predictor,
  image: PixelImage,
  label: number,
  sums: { loss: number; correct: number; top5: number },
): void {
  // The images are cut as the network needs them already.
  const logits = engine.run(imageInput(image, { ...description, input: description.graph.input, crop: 1 }));
  const own = logits[label] ?? Number.NaN;
  const better = logits.reduce((count, logit, i) => count + (logit > own || (logit === own && i < label) ? 1 : 0), 0);
  sums.loss -= Math.log(softmax(logits)[label] ?? Number.NaN);
  if (better === 0) sums.correct += 1;
  if (better < TOP) sums.top5 += 1;
}

/** A data set's test images, which the network sees as they are; grey ones in as many channels as it takes. */
function datasetImages(
  { title, name, classes, test }: Dataset,
  [channels]: readonly [number, number, number],
): Labelled {
  const { height, width, channels: own, images, labels, count } = test;
  const size = height * width * own;
  const shape = [own === 1 && channels === 3 ? 3 : own, height, width] as const;
  return {
    title: title ?? findSource(name).title,
    classes,
    imageShape: shape,
    count,
    image: async (index) => ({ data: images.subarray(index * size, (index + 1) * size), width, height }),
    label: (index) => labels[index] ?? -1,
  };
}

/** A folder's images for testing, read and cut as in training. */
async function folderImages(folder: string, shape: readonly [number, number, number]): Promise<Labelled> {
  const scan = await scanImageFolder(folder);
  const [, height, width] = shape;
  return {
    title: folder,
    classes: scan.classes,
    imageShape: shape,
    count: scan.val.labels.length,
    image: async (index) => ({
      data: await decodeImage(imagePath(scan, "val", index), index, { kind: "plain" }, width),
      width,
      height,
    }),
    label: (index) => scan.val.labels[index] ?? -1,
  };
}
