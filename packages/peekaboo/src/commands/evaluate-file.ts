import { quoted, UserError } from "@peekaboo/files/errors";
import type { EvaluateOptions } from "../config/config.js";
import { IMAGE_FOLDER } from "../config/options.js";
import type { Guard } from "../console/interrupt.js";
import { type Origin, originInWords, refuseNonfinite } from "../models/first-nonfinite.js";
import type { Network } from "../models/network.js";
import { openNetwork } from "../pab/open-network.js";
import { findImageFolder, type RecordedImages, refuseOtherImages } from "../runs/recorded-images.js";
import { setting } from "../setting.js";
import { testNetwork } from "../training/evaluate-run.js";
import type { Evaluation } from "../training/evaluation.js";
import { alone, type Ranks } from "../training/ranks.js";
import type { Reporter } from "../training/reporter.js";
import { chooseThreads, prepareDevice } from "./device.js";
import { openSources, type Sources } from "./sources.js";

/** What `peekaboo evaluate` found. */
export interface FileEvaluation {
  file: string;
  arch: string;
  dataset: string;
  images: number;
  /** Percent. */
  accuracy: number;
  /** How often the class was among the five likeliest, in percent. */
  top5: number;
  /** Mean cross-entropy. */
  loss: number;
}

/**
 * Tests a checkpoint on the test images of the data set that it was trained on.
 * @throws {UserError} as its parts do, and where
 * weights or the loss aren't finite; Interrupted after a signal.
 */
export async function evaluateFile(
  file: string,
  options: EvaluateOptions,
  { reporter, guard }: { reporter: Reporter; guard: Guard },
): Promise<FileEvaluation> {
  chooseThreads(options, reporter);
  const device = prepareDevice(options, reporter);
  const { network, config, images } = openNetwork("evaluate", file);
  try {
    refuseNonfinite(network.module.stateDict(), "evaluate", file);
    network.module.to({ device });
    const { data, testLimit, dataFolder, workers, onBadImage, batchSize } = options;
    const own = { ...config, data: data ?? folderOf(images, reporter), trainLimit: null, testLimit };
    const how = { reporter, signal: guard.signal };
    await using sources = await openSources({ ...own, dataFolder, workers, onBadImage }, device, how);
    const tested = { file, images, batchSize, network, sources, guard, reporter };
    return { file, arch: config.arch, dataset: config.dataset, ...(await testSources("evaluate", tested)) };
  } finally {
    network.dispose();
  }
}

interface Tested {
  /** Where the network comes from. */
  file: string;
  /** What it was trained on, unless the sources are known to be like that. */
  images?: RecordedImages;
  batchSize: number;
  network: Network;
  sources: Sources;
  guard: Guard;
  reporter: Reporter;
  ranks?: Ranks;
}

/**
 * Tests a network that isn't being trained.
 * @throws {UserError} when these aren't like those that
 * it was trained on, and when the loss is not finite.
 */
export async function testSources(operation: string, tested: Tested): Promise<Evaluation> {
  const { file, images, batchSize, network, sources, guard, reporter, ranks = alone } = tested;
  const nonfinite = (loss: number, origin: Origin | null) =>
    new UserError({
      operation,
      argument: `the loss of ${quoted(file, Number.POSITIVE_INFINITY)}`,
      expected: "a finite number",
      received: `${Number.isNaN(loss) ? "NaN" : "infinity"}, first in ${origin === null ? "another process" : originInWords(origin)}`,
      remedy: `the network's outputs overflow: give an earlier checkpoint, or train anew with a lower ${setting("sgd.lr")}`,
    });
  if (images !== undefined) refuseOtherImages(images, sources, { operation });
  return testNetwork(batchSize, { network, test: sources.test, guard, reporter, ranks, nonfinite });
}

/** An archive that was imported is in the cache; a folder of images is where it was, or beside the run. */
function folderOf(images: RecordedImages, reporter: Reporter): string | null {
  if (images.config.dataset !== IMAGE_FOLDER) return null;
  const found = findImageFolder(images, `give it by ${setting("data")}`);
  if (found !== images.config.data) reporter.note?.(`the images are those of ${quoted(found)}.`);
  return found;
}
