import type { Region } from "../plan/sweep.js";

/** Where each row of a value begins [channels × height], in floats. */
export function rowsOf({ channels, height, base, plane, row }: Region): Int32Array {
  return Int32Array.from(
    { length: channels * height },
    (_, i) => (base + Math.floor(i / height) * plane + (i % height) * row) >> 2,
  );
}
