import { asTypedArray, type TensorEntry } from "@peekaboo/files/safetensors";
import { scope, type Tensor, UserError } from "@peekaboo/torch";

/** Numbers by index; int64 ones come as bigint. */
export type Numbers = ArrayLike<number | bigint>;

/** One thing that a case measures. */
export interface Measurement {
  /** What the error is of, in a few words. */
  readonly what: string;
  /** NaN where a number to compare was NaN. */
  readonly error: number;
  /** The largest error that passes. */
  readonly limit: number;
}

/** Whether every error is within its limit; an error that is not a number never is. */
export function pass(measurements: readonly Measurement[]): boolean {
  return measurements.every(({ error, limit }) => error <= limit);
}

/** The measurement whose error is the largest in units of its limit, as "0.00012 final signs (limit 0.005)". */
export function figureOf(measurements: readonly Measurement[]): string {
  const [first, ...rest] = measurements;
  if (first === undefined) throw new TypeError("figureOf: expected a measurement, received none");
  const { error, what, limit } = rest.reduce((worst, next) => (strain(next) > strain(worst) ? next : worst), first);
  return `${short(error)} ${what} (limit ${short(limit)})`;
}

function strain({ error, limit }: Measurement): number {
  if (Number.isNaN(error)) return Number.POSITIVE_INFINITY;
  return error === 0 ? 0 : error / limit;
}

function short(value: number): string {
  const rounded = Number(value.toPrecision(3));
  return rounded > 0 && rounded < 0.001 ? rounded.toExponential() : String(rounded);
}

/** max |actual - expected| / max |expected|; 0 when all are equal, even to zero. */
export function relativeError(actual: Numbers, expected: Numbers): number {
  let [difference, scale] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    const value = Number(expected[i]);
    // Math.max passes NaN on.
    difference = Math.max(difference, Math.abs(Number(actual[i]) - value));
    scale = Math.max(scale, Math.abs(value));
  }
  return difference === 0 ? 0 : difference / scale;
}

/** How many elements differ; NaN differs from everything. */
export function countDifferences(actual: Numbers, expected: Numbers): number {
  let count = 0;
  for (let i = 0; i < expected.length; i++) if (Number(actual[i]) !== Number(expected[i])) count++;
  return count;
}

/** The differing part of all elements of several pairs of equally long arrays. */
export function differingFraction(pairs: Iterable<readonly [actual: Numbers, expected: Numbers]>): number {
  let [differing, total] = [0, 0];
  for (const [actual, expected] of pairs) {
    differing += countDifferences(actual, expected);
    total += expected.length;
  }
  return differing === 0 ? 0 : differing / total;
}

/** -1, 0 or 1 for each element. */
export function signsOf(values: Numbers): Int8Array {
  return Int8Array.from(values, (value) => Math.sign(Number(value)));
}

/** The elements of a tensor that must have the expected entry's shape. @throws {UserError} when it has another one. */
export function valuesLike({ shape }: TensorEntry, tensor: Tensor, name: string): Numbers {
  if (tensor.shape.join() !== shape.join()) throw misshaped(name, shape, tensor.shape);
  return tensor.toTypedArray();
}

/** The relative error of a tensor against the expected entry of that name. @throws {UserError} for another shape. */
export function compareTensor(name: string, tensor: Tensor, expected: TensorEntry, limit: number): Measurement {
  const actual = scope(() => valuesLike(expected, tensor, name));
  return { what: name, error: relativeError(actual, asTypedArray(expected)), limit };
}

/** The failure of two shapes that should be equal. */
export function misshaped(name: string, expected: readonly number[], received: readonly number[]): UserError {
  return new UserError({
    operation: "compare with the golden case",
    argument: name,
    expected: `shape [${expected.join(", ")}]`,
    received: `[${received.join(", ")}]`,
  });
}
