import type { Tensor } from "@peekaboo/torch";

/** [C, H, W] of an image. */
export type ImageShape = readonly [channels: number, height: number, width: number];

/** Images [N, C, H, W] and their classes, int64 [N]. */
export interface Batch {
  input: Tensor;
  target: Tensor;
}
