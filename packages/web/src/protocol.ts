// What the page asks the network's thread, and what it answers.
import type { Guess, PixelImage } from "@peekaboo/runtime";
import type { PartSizes, Shape, TestResult } from "@peekaboo/seed";

/** The weights of a layer. */
export interface LayerFacts {
  readonly name: string;
  readonly shape: readonly number[];
  /** Whether its weights are the seed's. */
  readonly grown: boolean;
  readonly kept: number;
  readonly total: number;
}

/** What a file is. */
export interface FileFacts {
  readonly network: string;
  readonly seed: number;
  readonly init: string;
  readonly input: Shape;
  readonly classes: readonly string[];
  readonly test: TestResult | null;
  /** The data set that it was trained on, if it says so. */
  readonly dataset: string | null;
  readonly sizes: PartSizes;
  readonly bytes: number;
  /** All its numbers as float32. */
  readonly denseBytes: number;
  readonly layers: readonly LayerFacts[];
  /** Whether a layer's weights are the seed's, so that it can be grown. */
  readonly grows: boolean;
  readonly simd: boolean;
  /** Decoding, rebuilding and preparing, in milliseconds. */
  readonly loadTime: number;
}

/** What the network makes of an image. */
export interface Answer {
  /** Best first. */
  readonly best: readonly Guess[];
  /** What it saw, as opaque RGBA of the network's own size. */
  readonly seen: PixelImage;
}

/** Images of one size, row by row in a sheet. */
export interface Sheet {
  readonly image: PixelImage;
  readonly width: number;
  readonly height: number;
  readonly columns: number;
  /** The true class of each. */
  readonly labels: readonly number[];
}

/** What the network says of many images. */
export interface TestOutcome {
  /** The class of each. */
  readonly said: readonly number[];
  /** Milliseconds an image, the median. */
  readonly time: number;
}

/** How far a network has grown: fractions of the weights whose mask, and whose sign, has come. */
export interface Stage {
  readonly masked: number;
  readonly signed: number;
}

/** The network at a stage. */
export interface StageFacts {
  /** Weights cut so far, and signs turned so far. */
  readonly cut: number;
  readonly turned: number;
  readonly total: number;
  readonly best: readonly Guess[];
  /** The first layer [out, in, height, width]. */
  readonly filters: { readonly name: string; readonly shape: readonly number[]; readonly data: Float32Array } | null;
}

/** Least, median and most milliseconds of an image. */
export interface Timing {
  readonly runs: number;
  readonly least: number;
  readonly median: number;
  readonly most: number;
}

/** Each question with what it takes and what it gives. */
export interface Calls {
  load: { args: { bytes: Uint8Array }; result: FileFacts };
  predict: { args: { image: PixelImage }; result: Answer };
  time: { args: { image: PixelImage }; result: Timing };
  test: { args: { sheet: Sheet }; result: TestOutcome };
  stage: { args: { stage: Stage; image: PixelImage | null }; result: StageFacts };
  /** The fraction of images that each stage has right. */
  stages: { args: { stages: readonly Stage[]; sheet: Sheet }; result: readonly number[] };
}

export type CallName = keyof Calls;

export interface Request<K extends CallName = CallName> {
  readonly id: number;
  readonly kind: K;
  readonly args: Calls[K]["args"];
}

export type Reply =
  | { readonly id: number; readonly kind: "progress"; readonly fraction: number }
  | { readonly id: number; readonly kind: "result"; readonly value: unknown }
  | { readonly id: number; readonly kind: "failure"; readonly message: string };
