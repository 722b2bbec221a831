/** A point of a curve: the optimiser step and the value there, NaN where there is none. */
export type Point = [step: number, value: number];

/**
 * The mean of the values up to `radius` places before and after each. Near the start the window narrows on both sides,
 * so that the steep first descent stays where it was; at the end it loses only the side that isn't there. NaN stays NaN, and
 * counts in no mean.
 */
export function smooth(values: readonly number[], radius: number): number[] {
  const sums = new Float64Array(values.length + 1);
  const counts = new Float64Array(values.length + 1);
  for (const [index, value] of values.entries()) {
    sums[index + 1] = (sums[index] ?? 0) + (Number.isNaN(value) ? 0 : value);
    counts[index + 1] = (counts[index] ?? 0) + (Number.isNaN(value) ? 0 : 1);
  }
  return values.map((value, index) => {
    const reach = Math.min(radius, index);
    const from = index - reach;
    const to = Math.min(index + reach + 1, values.length);
    const sum = (sums[to] ?? 0) - (sums[from] ?? 0);
    return Number.isNaN(value) ? value : sum / ((counts[to] ?? 0) - (counts[from] ?? 0));
  });
}

/** At most `limit` (2 or more) of the points, evenly spaced, the first and the last among them. */
export function thin<P>(points: readonly P[], limit: number): P[] {
  if (points.length <= limit) return [...points];
  const rank = (index: number) => Math.floor((index * (limit - 1)) / (points.length - 1));
  return points.filter((_, index) => rank(index) > rank(index - 1));
}

/**
 * Fewer points that draw the same picture as all: of each of `buckets` equal runs of points its lowest and its highest,
 * in their order. With at most two points a bucket, all are kept.
 */
export function envelope(points: readonly Point[], buckets: number): Point[] {
  if (points.length <= 2 * buckets) return [...points];
  return Array.from({ length: buckets }, (_, bucket) => {
    const from = Math.floor((bucket * points.length) / buckets);
    const to = Math.floor(((bucket + 1) * points.length) / buckets);
    const all = points.slice(from, to);
    const known = all.filter(([, value]) => !Number.isNaN(value));
    return known.length > 0 ? extremes(known) : all.slice(0, 1);
  }).flat();
}

function extremes(points: readonly Point[]): Point[] {
  let lowest = 0;
  let highest = 0;
  for (const [index, [, value]] of points.entries()) {
    if (value < (points[lowest]?.[1] ?? value)) lowest = index;
    if (value > (points[highest]?.[1] ?? value)) highest = index;
  }
  const kept = lowest === highest ? [lowest] : [Math.min(lowest, highest), Math.max(lowest, highest)];
  return kept.flatMap((index) => points.slice(index, index + 1));
}

/** The value below which the fraction `share` of the values lies; NaN of none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}
