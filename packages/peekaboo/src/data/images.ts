import type { BatchSource } from "./batch-source.js";
import type { Dataset } from "./dataset.js";
import { Batches } from "./resident-batches.js";

/** What a network is trained and tested on. */
export interface Images {
  train: BatchSource;
  test: BatchSource;
}

/** How {@link imagesOf} takes a data set's images. */
export interface ImagesOptions {
  /** Where they are kept, and the batches made; default: "cpu". */
  device?: string;
  /** Takes the first training images only; null, the default, takes all. */
  trainLimit?: number | null;
  /** The same for the test images. */
  testLimit?: number | null;
  /** What becomes of images with one channel: "rgb", the default, repeats it to three, "single" leaves it. */
  grey?: "rgb" | "single";
}

/** A data set's images in normalised batches. The caller disposes of both. */
export function imagesOf(dataset: Dataset, options: ImagesOptions = {}): Images {
  const { device = "cpu", trainLimit = null, testLimit = null, grey = "rgb" } = options;
  const train = new Batches(dataset, dataset.train, { device, limit: trainLimit, grey });
  const test = new Batches(dataset, dataset.test, { device, limit: testLimit, grey });
  return { train, test };
}
