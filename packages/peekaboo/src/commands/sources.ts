import { printable } from "@peekaboo/files/errors";
import type { Config } from "../config/config.js";
import { IMAGE_FOLDER } from "../config/options.js";
import type { Batch, ImageShape } from "../data/batch.js";
import type { BatchSource } from "../data/batch-source.js";
import { sha256 } from "../data/checksum.js";
import type { Dataset } from "../data/dataset.js";
import { imagesOf } from "../data/images.js";
import { findSource } from "../data/sets/sources.js";
import { SPLITS } from "../data/source.js";
import { type Opening, openData } from "./open-data.js";

/** The settings that say which images to take, and how. */
export type SourceConfig = Config<
  "dataset" | "data" | "dataFolder" | "trainLimit" | "testLimit" | "grey" | "imageSize" | "workers" | "onBadImage"
> & {
  /** How many processes of this machine read them. */
  processes?: number;
};

/** The images of a run, in batches. */
export interface Sources {
  title: string;
  classes: readonly string[];
  imageShape: ImageShape;
  train: BatchSource;
  test: BatchSource;
  /** What the images are known by, in hexadecimal: SHA-256 of arrays, or of a folder's names and sizes. */
  checksums(): Promise<Record<string, string>>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Opens the images that a configuration asks for: a data set in memory, or a folder that is read as it is trained on.
 *
 * @throws {UserError} as its sources do.
 */
export async function openSources(config: SourceConfig, device: string, opening: Opening): Promise<Sources> {
  return config.dataset === IMAGE_FOLDER ? openFolder(config, device, opening) : openInMemory(config, device, opening);
}

async function openInMemory(config: SourceConfig, device: string, opening: Opening): Promise<Sources> {
  const { trainLimit, testLimit, grey } = config;
  const dataset = await openData(config, opening);
  const { title, classes } = dataset;
  const { train, test } = imagesOf(dataset, { device, trainLimit, testLimit, grey });
  const dispose = async () => {
    await train.dispose();
    await test.dispose();
  };
  const checksums = async () => checksumsOf(dataset);
  return { title, classes, imageShape: train.imageShape, train, test, checksums, [Symbol.asyncDispose]: dispose };
}

/** Those that are known beforehand were proven when the data set was opened. */
function checksumsOf(dataset: Dataset): Record<string, string> {
  const { splits } = findSource(dataset.name);
  const sums = SPLITS.flatMap((split) => {
    const { images, labels } = splits[split].sha256 ?? {
      images: sha256(dataset[split].images),
      labels: sha256(dataset[split].labels),
    };
    return [
      [`${split}.images.sha256`, images],
      [`${split}.labels.sha256`, labels],
    ];
  });
  return Object.fromEntries(sums);
}

async function openFolder(config: SourceConfig, device: string, { reporter }: Opening): Promise<Sources> {
  const { data, imageSize, workers, processes = 1, onBadImage, trainLimit, testLimit } = config;
  if (data === null) throw new TypeError("openSources: expected the folder of an image folder");
  const onWarning = (text: string) => reporter.warn?.(`${text}.`);
  const options = { imageSize, onBadImage, onWarning, device, processes, ...(workers === null ? {} : { workers }) };
  // Its decoder takes twenty megabytes, of no use to a data set in memory.
  const { openImageFolder } = await import("../data/image-folder/image-folder.js");
  const { classes, train, val, checksums, dispose } = await openImageFolder(data, options);
  return {
    title: `the images of ${printable(data)}`,
    classes,
    imageShape: train.imageShape,
    train: trainLimit === null ? train : new SomeImages(train, trainLimit),
    test: testLimit === null ? val : new SomeImages(val, testLimit),
    checksums,
    [Symbol.asyncDispose]: dispose,
  };
}

/** Some images of a source, evenly spaced: the first few of a sorted folder would be of one class. */
class SomeImages implements BatchSource {
  readonly count: number;
  readonly imageShape: ImageShape;
  readonly #all: BatchSource;

  constructor(all: BatchSource, limit: number) {
    this.#all = all;
    this.count = Math.min(limit, all.count);
    this.imageShape = all.imageShape;
  }

  #own(order: Int32Array): Int32Array {
    return order.map((i) => Math.floor((i * this.#all.count) / this.count));
  }

  training(order: Int32Array, batchSize: number, seed: number, epoch: number): AsyncIterable<Batch> {
    return this.#all.training(this.#own(order), batchSize, seed, epoch);
  }

  plain(batchSize: number, indices?: Int32Array): AsyncIterable<Batch> {
    return this.#all.plain(batchSize, this.#own(indices ?? Int32Array.from({ length: this.count }, (_, i) => i)));
  }

  dispose(): void | Promise<void> {
    return this.#all.dispose();
  }
}
