/** [channels, height, width] of one image or of what is computed from it. */
export type Shape = readonly [channels: number, height: number, width: number];

/** [vertical, horizontal]. */
export type Pair = readonly [number, number];

/** A convolution (cross-correlation, as PyTorch computes it) with zeros around the image. */
export interface Conv2dNode {
  readonly op: "conv2d";
  readonly inputs: readonly [number];
  /** The names of its weight [out, in / groups, kernel height, kernel width] and of its bias [out], if it has one. */
  readonly weight: string;
  readonly bias?: string;
  readonly stride: Pair;
  readonly padding: Pair;
  readonly dilation: Pair;
  readonly groups: number;
}

/** scale ⊙ x + shift for each channel: what BatchNorm is once it is trained. */
export interface AffineNode {
  readonly op: "affine";
  readonly inputs: readonly [number];
  /** The names of [channels] factors and [channels] summands. */
  readonly scale: string;
  readonly shift?: string;
}

/** max(x, 0). */
export interface ReluNode {
  readonly op: "relu";
  readonly inputs: readonly [number];
}

/** The sum of two values of one shape. */
export interface AddNode {
  readonly op: "add";
  readonly inputs: readonly [number, number];
}

/** The largest value or the mean of each window; around the image lies nothing for the maximum, and zeros that count for the mean. */
export interface PoolNode {
  readonly op: "max_pool2d" | "avg_pool2d";
  readonly inputs: readonly [number];
  readonly kernel: Pair;
  readonly stride: Pair;
  readonly padding: Pair;
}

/** Every `stride`-th pixel, with channels of zeros before and after. */
export interface SubsampleNode {
  readonly op: "subsample";
  readonly inputs: readonly [number];
  readonly stride: Pair;
  readonly before: number;
  readonly after: number;
}

/** The same numbers, channel by channel and row by row, as another shape. */
export interface ReshapeNode {
  readonly op: "reshape";
  readonly inputs: readonly [number];
  readonly shape: Shape;
}

/** W·x + b over all of a value, in its order: [features] → [out, 1, 1]. */
export interface LinearNode {
  readonly op: "linear";
  readonly inputs: readonly [number];
  /** The names of its weight [out, in] and of its bias [out], if it has one. */
  readonly weight: string;
  readonly bias?: string;
}

/** One operation. */
export type GraphNode =
  | Conv2dNode
  | AffineNode
  | ReluNode
  | AddNode
  | PoolNode
  | SubsampleNode
  | ReshapeNode
  | LinearNode;

/**
 * What a network computes. Value 0 is the normalised image; node n makes value n + 1 of earlier values alone, so there can be
 * no cycle. The last node's value, in its order, is the logits.
 */
export interface Graph {
  readonly input: Shape;
  readonly nodes: readonly GraphNode[];
}

/** A tensor that a graph names: row-major values of a shape. */
export interface GraphTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}
