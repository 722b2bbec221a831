import { ops, scope, Tensor } from "@peekaboo/torch";
import { pabOps } from "../native/library.js";
import type { Batch, ImageShape } from "./batch.js";
import type { BatchSource } from "./batch-source.js";
import type { Dataset, Split } from "./dataset.js";
import { augmentation } from "./order.js";

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
export class Batches implements BatchSource {
  readonly count: number;
  /** [C, H, W] of an image as the network gets it. */
  readonly imageShape: ImageShape;
  readonly #statistics: Statistics;
  /** uint8 [N, H, W, C], on the device; what makes batches of them comes from the CPU. */
  readonly #images: Tensor;
  readonly #labels: Uint8Array;

  constructor(statistics: Statistics, split: Split, { device, limit, grey }: BatchesOptions) {
    const { height, width, channels, images, labels } = split;
    this.count = Math.min(limit ?? split.count, split.count);
    this.imageShape = [channels === 1 && grey === "rgb" ? 3 : channels, height, width];
    this.#statistics = statistics;
    const pixels = images.subarray(0, this.count * height * width * channels);
    this.#images = Tensor.from(pixels, { shape: [this.count, height, width, channels], share: true, device });
    this.#labels = labels;
  }

  /** Cropped and, if that suits the data set, flipped as (seed, epoch, index) say. */
  async *training(order: Int32Array, batchSize: number, seed: number, epoch: number): AsyncGenerator<Batch> {
    const { padding, flip } = this.#statistics.augmentation;
    for (const indices of slices(order, batchSize)) {
      const moves = augmentation(seed, epoch, indices, padding);
      yield this.#batch(indices, [moves.dy, moves.dx, flip ? moves.flip : null]);
    }
  }

  async *plain(batchSize: number, indices?: Int32Array): AsyncGenerator<Batch> {
    const order = indices ?? Int32Array.from({ length: this.count }, (_, index) => index);
    for (const own of slices(order, batchSize)) yield this.#batch(own, [null, null, null]);
  }

  #batch(indices: Int32Array, moves: readonly (Int32Array | Uint8Array | null)[]): Batch {
    return scope(() => {
      const { device } = this.#images;
      const { mean, std, augmentation } = this.#statistics;
      const index = Tensor.from(indices);
      const [dy = null, dx = null, flip = null] = moves.map((values) => values && Tensor.from(values));
      // Channels last in memory: oneDNN's convolutions then need no reordering, and the layout carries through the net.
      const { padding } = augmentation;
      const input = pabOps().augment(this.#images, index, { dy, dx, flip, padding, mean, std, channelsLast: true });
      const labels = BigInt64Array.from(indices, (image) => BigInt(this.#labels[image] ?? -1));
      return { input: this.#coloured(input), target: Tensor.from(labels, { device }) };
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
  }
}

function* slices(order: Int32Array, length: number): Generator<Int32Array> {
  for (let start = 0; start < order.length; start += length) yield order.subarray(start, start + length);
}
