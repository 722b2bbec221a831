import { numel } from "@peekaboo/files/safetensors";
import { RandomStream } from "@peekaboo/seed";
import { Tensor } from "@peekaboo/torch";

/** Seeded values in (-1, 1), a fifth of them zero as after a ReLU, on the CPU. */
export function random(name: string, shape: readonly number[], dtype: "float32" | "float64" = "float32"): Tensor {
  const words = new Uint32Array(numel(shape));
  new RandomStream(11, name).fillUint32(words);
  const values = Float64Array.from(words, (word) => (word % 5 === 0 ? 0 : word / 2 ** 31 - 1));
  return Tensor.from(values, { shape, dtype });
}

function valuesOf(tensor: Tensor): Float64Array {
  return Float64Array.from<number | bigint>(tensor.toTypedArray(), Number);
}

/** The largest difference of two tensors' elements, as a fraction of the largest magnitude; Infinity for other shapes. */
export function difference(one: Tensor, other: Tensor): number {
  if (one.shape.join() !== other.shape.join() || one.dtype !== other.dtype) return Number.POSITIVE_INFINITY;
  const [a, b] = [valuesOf(one), valuesOf(other)];
  let [largest, scale] = [0, 0];
  a.forEach((value, i) => {
    const against = b[i] ?? Number.NaN;
    const distance = Object.is(value, against) || value === against ? 0 : Math.abs(value - against);
    largest = Number.isNaN(distance) ? Number.POSITIVE_INFINITY : Math.max(largest, distance);
    if (Number.isFinite(against)) scale = Math.max(scale, Math.abs(against));
  });
  return scale === 0 ? largest : largest / scale;
}

/** The fraction of elements that differ at all; 1 for other shapes. */
export function unequal(one: Tensor, other: Tensor): number {
  if (one.shape.join() !== other.shape.join()) return 1;
  const [a, b] = [valuesOf(one), valuesOf(other)];
  return a.reduce((count, value, i) => count + (value === b[i] ? 0 : 1), 0) / Math.max(1, a.length);
}
