/** A point of a curve: the optimiser step and the value there. */
export type Point = [step: number, value: number];

/**
 * The mean of the values up to `radius` places before and after each. Near the start the window narrows on both sides,
 * so that the steep first descent stays where it was; at the end it loses only the side that isn't there.
 */
export function smooth(values: readonly number[], radius: number): number[] {
  const sums = new Float64Array(values.length + 1);
  for (const [index, value] of values.entries()) sums[index + 1] = (sums[index] ?? 0) + value;
  return values.map((_, index) => {
    const reach = Math.min(radius, index);
    const from = index - reach;
    const to = Math.min(index + reach + 1, values.length);
    return ((sums[to] ?? 0) - (sums[from] ?? 0)) / (to - from);
  });
}

/** At most `limit` (2 or more) of the points, evenly spaced, the first and the last among them. */
export function thin(points: readonly Point[], limit: number): Point[] {
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
    return extremes(points.slice(from, to));
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

/** An axis: its ends, and the distance of its ticks, which starts at `min`. */
export interface AxisRange {
  min: number;
  max: number;
  interval: number;
}

/** The axis that holds `low` to `high` between round ends, in some five steps; where they hardly differ, also zero. */
export function roundRange(low: number, high: number): AxisRange {
  if (low === 0 && high === 0) return roundRange(0, 1);
  if (high - low < 1e-3 * Math.max(Math.abs(low), Math.abs(high)))
    return roundRange(Math.min(0, low), Math.max(0, high));
  const interval = roundStep((high - low) / 5);
  const min = Math.floor(low / interval + 1e-9) * interval;
  const max = Math.ceil(high / interval - 1e-9) * interval;
  return { min, max, interval };
}

/** The ticks of a count from 0 to `last`: round whole numbers, at most some six. */
export function countTicks(last: number): number[] {
  const interval = Math.max(1, roundStep(last / 5));
  return Array.from({ length: Math.floor(last / interval) + 1 }, (_, index) => index * interval);
}

/** The smallest of 1, 2, 5 times a power of ten that is not below `atLeast`. */
function roundStep(atLeast: number): number {
  const power = 10 ** Math.floor(Math.log10(atLeast));
  const factor = [1, 2, 5, 10].find((factor) => factor * power >= atLeast * (1 - 1e-9)) ?? 10;
  return factor * power;
}

/**
 * A logarithmic scale that has room for zero: 0 → 0, 1 → 1, 10 → 2, 100 → 3; straight between 0 and 1. Counts are
 * whole, so nothing but means lies in that stretch.
 */
export function logWithZero(value: number): number {
  return value <= 1 ? value : 1 + Math.log10(value);
}

/** The inverse of {@link logWithZero}. */
export function unLogWithZero(position: number): number {
  return position <= 1 ? position : 10 ** (position - 1);
}
