import { scope, Tensor } from "@peekaboo/torch";
import type { Dataset, Split } from "../data/dataset.js";
import { augmentation } from "../data/order.js";
import type { ImageShape } from "../models/architecture.js";
import { pabOps } from "../native/library.js";
import type { Batch } from "../pruners/pruner.js";

/** Zero pixels around an image before it is cropped at random (ALGORITHM §5). */
const PADDING = 4;

/** A split of a data set on the device, given out in normalised batches. */
export class Batches {
  readonly count: number;
  /** [C, H, W] of an image. */
  readonly imageShape: ImageShape;
  readonly #images: Tensor;
  readonly #labels: Tensor;
  readonly #mean: readonly number[];
  readonly #std: readonly number[];

  /** @param limit takes the first images only */
  constructor({ mean, std }: Pick<Dataset, "mean" | "std">, split: Split, device: string, limit: number | null) {
    const { height, width, channels, images, labels } = split;
    this.count = Math.min(limit ?? split.count, split.count);
    this.imageShape = [channels, height, width];
    this.#mean = mean;
    this.#std = std;
    const pixels = images.subarray(0, this.count * height * width * channels);
    this.#images = Tensor.from(pixels, { shape: [this.count, height, width, channels], share: true, device });
    this.#labels = Tensor.from(BigInt64Array.from(labels.subarray(0, this.count), BigInt), { device });
  }

  /** A batch of training images: cropped and flipped as (seed, epoch, index) say. */
  training(indices: Int32Array, seed: number, epoch: number): Batch {
    const { dy, dx, flip } = augmentation(seed, epoch, indices, PADDING);
    return this.#batch(indices, [dy, dx, flip]);
  }

  /** A batch of images as they are. */
  plain(indices: Int32Array): Batch {
    return this.#batch(indices, null);
  }

  #batch(indices: Int32Array, moves: [Int32Array, Int32Array, Uint8Array] | null): Batch {
    return scope(() => {
      const { device } = this.#images;
      const index = Tensor.from(indices, { device });
      const [dy = null, dx = null, flip = null] = moves?.map((values) => Tensor.from(values, { device })) ?? [];
      // Channels last in memory: oneDNN's convolutions then need no reordering, and the layout carries through the net.
      const input = pabOps().augment(this.#images, index, dy, dx, flip, PADDING, this.#mean, this.#std, true);
      return { input, target: this.#labels.indexSelect(0, index) };
    });
  }

  dispose(): void {
    this.#images.dispose();
    this.#labels.dispose();
  }
}
