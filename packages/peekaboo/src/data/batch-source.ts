import type { Batch, ImageShape } from "./batch.js";

/** Where normalised batches of images come from. Who takes a batch disposes of its tensors. */
export interface BatchSource {
  readonly count: number;
  /** [C, H, W] of an image. */
  readonly imageShape: ImageShape;
  /** Training batches of the images `order`, in this order; an image's augmentation follows from (seed, epoch, its index). */
  training(order: Int32Array, batchSize: number, seed: number, epoch: number): AsyncIterable<Batch>;
  /** Every image, or those of `indices`, once, as it is for testing. */
  plain(batchSize: number, indices?: Int32Array): AsyncIterable<Batch>;
  dispose(): void | Promise<void>;
}
