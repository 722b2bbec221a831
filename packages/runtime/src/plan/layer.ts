import type { Pair } from "@peekaboo/seed";

/** How a window slides over an image. */
export interface Window {
  readonly kernel: Pair;
  readonly stride: Pair;
  readonly padding: Pair;
  readonly dilation: Pair;
}

/** A window of one pixel. */
export const PIXEL: Window = { kernel: [1, 1], stride: [1, 1], padding: [0, 0], dilation: [1, 1] };

/**
 * The form that most operations take: relu?(reduce of weight · input over a window, + shift + residual?), where
 * `reduce` is the sum, or the maximum of the inputs that a weight other than 0 names. An element-wise operation is a window of
 * one pixel, a mean one of equal weights, and a linear layer one as large as its input.
 */
export interface WindowLayer extends Window {
  readonly kind: "sum" | "max";
  readonly input: number;
  /** Channels of the input that one of the output reads, and the first of them. */
  readonly depth: number;
  readonly firstChannel: (output: number) => number;
  /** [channels, depth, kernel height, kernel width]; a 0 costs nothing. */
  readonly weight: Float32Array;
  /** [channels]: what the weights are multiplied with, and what is added. */
  scale: Float64Array;
  shift: Float64Array;
  /** The value that is added, if there is one. */
  residual?: number;
  relu: boolean;
  output: number;
}

/** The same numbers in another shape. */
interface ReshapeLayer {
  readonly kind: "reshape";
  readonly input: number;
  readonly output: number;
}

/** A function of each number. */
interface CurveLayer {
  readonly kind: "curve";
  readonly curve: Curve;
  readonly input: number;
  readonly output: number;
}

/** The functions that aren't straight: `gelu_tanh` is GELU's approximation. */
export type Curve = "sigmoid" | "silu" | "gelu" | "gelu_tanh";

/** Each group of channels less its mean, by its deviation, then scaled and shifted by channel. */
interface NormLayer extends Normalisation {
  readonly kind: "norm";
  readonly input: number;
  readonly output: number;
}

export interface Normalisation {
  readonly groups: number;
  /** What is added to a group's variance. */
  readonly eps: number;
  /** [channels]. */
  readonly scale: Float32Array;
  readonly shift: Float32Array | undefined;
}

/** The channels of several values, one after the other. */
interface JoinLayer {
  readonly kind: "join";
  readonly input: number;
  readonly others: readonly number[];
  readonly output: number;
}

export type Layer = WindowLayer | ReshapeLayer | CurveLayer | NormLayer | JoinLayer;

export function isWindow(layer: Layer): layer is WindowLayer {
  return layer.kind === "sum" || layer.kind === "max";
}
