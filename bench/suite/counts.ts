// Operations and bytes that a computation can't do without. A multiply-add counts as two operations.

/** The operations of one product of a convolution: its output, or a gradient of its input or its weight. */
export function convolutionFlops(weight: readonly number[], output: readonly number[]): number {
  const [images = 0, , height = 1, width = 1] = output;
  return 2 * product(weight) * images * height * width;
}

/** A layer's multiply-adds for one image, as `measureNetwork` counts them. */
interface Layer {
  readonly macs: number;
}

/** The operations of a training step's products: outputs and both gradients, but for the images' gradient, which nobody needs. */
export function stepFlops(layers: readonly Layer[], batch: number): number {
  const all = layers.reduce((sum, { macs }) => sum + macs, 0);
  const [first] = layers;
  return 2 * batch * (3 * all - (first?.macs ?? 0));
}

/** How many times each operator reads or writes all of its values, forwards and backwards. */
const PASSES: readonly (readonly [name: RegExp, forward: number, backward: number])[] = [
  // Statistics, then normalisation; backwards, two sums of input and gradient, then the input's gradient.
  [/batch_norm/, 3, 5],
  [/relu/, 2, 3],
  [/add/, 3, 0],
];

/** Bytes that an operator on so many float32 values must move; what isn't listed reads and writes each once. */
export function passBytes(name: string, values: number, direction: "forward" | "backward"): number {
  const [, forward, backward] = PASSES.find(([pattern]) => pattern.test(name)) ?? ["", 2, 2];
  return 4 * values * (direction === "forward" ? forward : backward);
}

/** Bytes a weight for Bop: weight, average and count of flips read and written, the gradient read. */
export const BOP_BYTES = 28;
/** For SGD with momentum and decay: weight and velocity read and written, the gradient read. */
export const SGD_BYTES = 20;

export function product(sizes: readonly number[]): number {
  return sizes.reduce((result, size) => result * size, 1);
}

/** What the machine does at most: operations and bytes a second. */
export interface Rates {
  readonly flops: number;
  readonly bytes: number;
}

/** The seconds that a computation takes at least. */
export function floorSeconds(work: { flops: number; bytes: number }, rates: Rates): number {
  return Math.max(work.flops / rates.flops, work.bytes / rates.bytes);
}
