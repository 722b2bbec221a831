import { ops, scope, Tensor } from "@peekaboo/torch";
import type { Dataset, Split } from "../data/dataset.js";
import { augmentation } from "../data/order.js";
import type { ImageShape } from "../models/architecture.js";
import { pabOps } from "../native/library.js";
import type { Batch } from "../pruners/pruner.js";

/** How a batch is made of a split. */
export interface BatchesOptions {
  /** Where the images are kept, and the batches made. */
  device: string;
  /** Takes the first images only; null takes all. */
  limit: number | null;
  /** What becomes of images with one channel: "rgb" repeats it to three, "single" leaves it. */
  grey: "rgb" | "single";
}

type Statistics = Pick<Dataset, "mean" | "std" | "augmentation">;

/** A split of a data set on the device, given out in normalised batches. */
export class Batches {
  readonly count: number;
  /** [C, H, W] of an image as the network gets it. */
  readonly imageShape: ImageShape;
  readonly #statistics: Statistics;
  readonly #images: Tensor;
  readonly #labels: Tensor;

  constructor(statistics: Statistics, split: Split, { device, limit, grey }: BatchesOptions) {
    const { height, width, channels, images, labels } = split;
    this.count = Math.min(limit ?? split.count, split.count);
    this.imageShape = [channels === 1 && grey === "rgb" ? 3 : channels, height, width];
    this.#statistics = statistics;
    const pixels = images.subarray(0, this.count * height * width * channels);
    this.#images = Tensor.from(pixels, { shape: [this.count, height, width, channels], share: true, device });
    this.#labels = Tensor.from(BigInt64Array.from(labels.subarray(0, this.count), BigInt), { device });
  }

  /** A batch of training images: cropped and, if that suits the data set, flipped as (seed, epoch, index) say. */
  training(indices: Int32Array, seed: number, epoch: number): Batch {
    const { padding, flip } = this.#statistics.augmentation;
    const moves = augmentation(seed, epoch, indices, padding);
    return this.#batch(indices, [moves.dy, moves.dx, flip ? moves.flip : null]);
  }

  /** A batch of images as they are. */
  plain(indices: Int32Array): Batch {
    return this.#batch(indices, [null, null, null]);
  }

  #batch(indices: Int32Array, moves: readonly (Int32Array | Uint8Array | null)[]): Batch {
    return scope(() => {
      const { device } = this.#images;
      const { mean, std, augmentation } = this.#statistics;
      const index = Tensor.from(indices, { device });
      const [dy = null, dx = null, flip = null] = moves.map((values) => values && Tensor.from(values, { device }));
      // Channels last in memory: oneDNN's convolutions then need no reordering, and the layout carries through the net.
      const input = pabOps().augment(this.#images, index, dy, dx, flip, augmentation.padding, mean, std, true);
      return { input: this.#coloured(input), target: this.#labels.indexSelect(0, index) };
    });
  }

  /** The images with as many channels as `imageShape` says. Here, so that the resident images stay small. */
  #coloured(input: Tensor): Tensor {
    const [, channels = 0, height = 0, width = 0] = input.shape;
    const [wanted = channels] = this.imageShape;
    if (wanted === channels) return input;
    return ops.contiguous(input.expand(-1, wanted, height, width), { memoryFormat: "channelsLast" });
  }

  dispose(): void {
    this.#images.dispose();
    this.#labels.dispose();
  }
}
