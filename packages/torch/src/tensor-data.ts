import { markAsUntransferable } from "node:worker_threads";
import { UserError } from "@peekaboo/files/errors";
import type { Dtype, TypedArray } from "./dtype.js";
import type { NestedNumbers } from "./tensor-base.js";

/** The extents of nested arrays, as their first members show them. */
export function shapeOf(values: NestedNumbers): number[] {
  const shape: number[] = [];
  for (let level: NestedNumbers | undefined = values; Array.isArray(level); level = level[0]) shape.push(level.length);
  return shape;
}

/** The numbers of nested arrays, row-major. @throws {UserError} when the arrays of one depth differ in length. */
export function flattened(values: NestedNumbers): Float64Array {
  const shape = shapeOf(values);
  const numbers: number[] = [];
  const path: number[] = [];
  const collect = (value: NestedNumbers): void => {
    const extent = shape[path.length];
    const fits = typeof value === "number" ? extent === undefined : value.length === extent;
    if (!fits) throw raggedError(value, path, extent);
    if (typeof value === "number") {
      numbers.push(value);
      return;
    }
    for (const [i, item] of value.entries()) {
      path.push(i);
      collect(item);
      path.pop();
    }
  };
  collect(values);
  return Float64Array.from(numbers);
}

function raggedError(value: NestedNumbers, path: readonly number[], extent: number | undefined): UserError {
  return new UserError({
    operation: "Tensor.of",
    argument: `values${path.map((i) => `[${i}]`).join("")}`,
    expected: extent === undefined ? "a number" : `an array of ${extent}, as its first neighbour is`,
    received: typeof value === "number" ? String(value) : `an array of ${value.length}`,
  });
}

/**
 * The dtype in which a tensor can stand on an array's own memory.
 *
 * Marks the memory as untransferable: moved to another thread, it would be freed under the tensor.
 *
 * @param own the array's dtype
 * @param wanted the tensor's; bool stands on bytes of 0 and 1
 * @throws {UserError} for another dtype, and for a buffer that may shrink.
 */
export function shareableDtype(data: TypedArray, own: Dtype, wanted: Dtype): Dtype {
  const refuse = (argument: string, expected: string, received: string) =>
    new UserError({
      operation: "share an array's memory",
      argument,
      expected,
      received,
      remedy: "leave `share` out to copy it",
    });
  const asBool = own === "uint8" && wanted === "bool";
  if (own !== wanted && !asBool) throw refuse("dtype", `the array's own, ${own}`, wanted);
  const other = asBool ? data.find((byte) => byte > 1) : undefined;
  if (other !== undefined) throw refuse("data", "bytes of 0 or 1 for bool", String(other));
  if ((data.buffer as { resizable?: boolean }).resizable === true)
    throw refuse("data", "a buffer of fixed length", "a resizable one");
  markAsUntransferable(data.buffer);
  return wanted;
}
