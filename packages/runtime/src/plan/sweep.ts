import type { Curve, Normalisation } from "./layer.js";

/** Where pixels lie: the byte of the first, and the bytes from a row and from a channel to the next. */
export interface View {
  readonly base: number;
  readonly row: number;
  readonly plane: number;
}

/**
 * A layer on memory, for all output channels: out = relu?(reduce of weight · in[offset], + shift + residual?), the terms taken
 * from a list that `writeList` wrote. Offsets are in bytes from the pixel of the same number as the output's.
 */
export interface Sweep {
  readonly kind: "sum" | "max";
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly input: View;
  readonly output: View;
  readonly residual: View | undefined;
  readonly relu: boolean;
  /** The list's first byte, and the one after its last. */
  readonly list: number;
  readonly listEnd: number;
  readonly unroll: number;
  /** So many output channels share a head of the list. */
  readonly together: number;
}

/** Every `stride`-th pixel of each channel, copied: `height` × `width` of them. */
export interface Copy {
  readonly kind: "copy";
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  readonly from: View;
  /** Bytes from one pixel that is taken to the next. */
  readonly step: number;
  readonly to: View;
  /** What lies around the image there. */
  readonly fill: number;
}

/** All numbers of a value, in order, as another shape. */
export interface Reshape {
  readonly kind: "reshape";
  readonly from: Region;
  readonly to: Region;
}

/** A function of each number of a value. */
export interface Bend {
  readonly kind: "curve";
  readonly curve: Curve;
  readonly from: Region;
  readonly to: Region;
}

/** Each group of a value's channels, normalised. */
export interface Norm extends Normalisation {
  readonly kind: "norm";
  readonly from: Region;
  readonly to: Region;
}

/** A view of a whole value. */
export interface Region extends View {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

export type Step = Sweep | Copy | Reshape | Bend | Norm;
