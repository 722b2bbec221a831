import { numel } from "@peekaboo/files/safetensors";

/**
 * Erdős–Rényi-kernel: how many of `kept` weights each layer keeps when its density is proportional to (Σ of its dimensions) / (their product),
 * layers that would need more than they have being dense (Evci et al. 2020, "Rigging the Lottery", §3 (1)). The counts
 * add up to `kept`: what rounding down leaves goes to the largest fractions.
 * @throws {RangeError} when `kept` is not an
 * integer from 0 to the number of weights.
 */
export function erdosRenyiKernelCounts(shapes: readonly (readonly number[])[], kept: number): number[] {
  const sizes = shapes.map(numel);
  const parts = shapes.map((shape) => shape.reduce((sum, n) => sum + n, 0));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  if (!Number.isInteger(kept) || kept < 0 || kept > total) {
    throw new RangeError(`ERK: expected an integer from 0 to ${total} for kept, received ${kept}`);
  }
  const wanted = idealCounts(sizes, parts, kept);
  const counts = wanted.map((count, i) => Math.min(Math.floor(count), sizes[i] ?? 0));
  let left = kept - counts.reduce((sum, count) => sum + count, 0);
  const fraction = (i: number) => (wanted[i] ?? 0) - (counts[i] ?? 0);
  const order = counts.map((_, i) => i).sort((a, b) => fraction(b) - fraction(a) || a - b);
  for (const i of order) {
    if (left === 0) break;
    if (counts[i] === sizes[i]) continue;
    counts[i] = (counts[i] ?? 0) + 1;
    left--;
  }
  return counts;
}

/** The counts before rounding: ε·part for the sparse layers, with ε such that all add up to `kept`. */
function idealCounts(sizes: readonly number[], parts: readonly number[], kept: number): number[] {
  const dense = new Set<number>();
  for (;;) {
    const sum = (values: readonly number[], wanted: boolean) =>
      values.reduce((value, next, i) => (dense.has(i) === wanted ? value + next : value), 0);
    const epsilon = (kept - sum(sizes, true)) / sum(parts, false);
    const tooMuch = sizes.flatMap((size, i) => (!dense.has(i) && epsilon * (parts[i] ?? 0) > size ? [i] : []));
    if (tooMuch.length === 0) return sizes.map((size, i) => (dense.has(i) ? size : epsilon * (parts[i] ?? 0)));
    for (const i of tooMuch) dense.add(i);
  }
}
