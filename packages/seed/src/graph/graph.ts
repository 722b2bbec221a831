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

/**
 * (x - mean) / √(variance + eps) · scale + shift, mean and variance (by all numbers, not one less) of each of `groups` equal parts of the
 * channels; scale and shift for each channel.
 */
export interface GroupNormNode {
  readonly op: "group_norm";
  readonly inputs: readonly [number];
  /** The names of [channels] factors and [channels] summands. */
  readonly scale: string;
  readonly shift?: string;
  readonly groups: number;
  readonly eps: number;
}

/** max(x, 0). */
export interface ReluNode {
  readonly op: "relu";
  readonly inputs: readonly [number];
}

/** σ(x) = 1 / (1 + e⁻ˣ), or x · σ(x). */
export interface SigmoidNode {
  readonly op: "sigmoid" | "silu";
  readonly inputs: readonly [number];
}

/** x · Φ(x), Φ being the normal distribution's, or x / 2 · (1 + tanh(√(2/π) · (x + 0.044715 x³))). */
export interface GeluNode {
  readonly op: "gelu";
  readonly inputs: readonly [number];
  readonly approximate: "none" | "tanh";
}

/** The sum of two values of one shape. */
export interface AddNode {
  readonly op: "add";
  readonly inputs: readonly [number, number];
}

/** The channels of two values or more, of one height and width, one after the other. */
export interface ConcatNode {
  readonly op: "concat";
  readonly inputs: readonly [number, number, ...number[]];
}

/** The largest value or the mean of each window; around the image lies nothing for the maximum, and zeros that count for the mean. */
export interface PoolNode {
  readonly op: "max_pool2d" | "avg_pool2d";
  readonly inputs: readonly [number];
  readonly kernel: Pair;
  readonly stride: Pair;
  readonly padding: Pair;
  /** Of a maximum alone, and where it isn't [1, 1]. */
  readonly dilation?: Pair;
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
  | GroupNormNode
  | ReluNode
  | SigmoidNode
  | GeluNode
  | AddNode
  | ConcatNode
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
