import { formatShortCount } from "../console/format.js";
import { textWidth } from "./text-width.js";

/** Where an axis has its values, in pixels, and its ticks. */
export interface Scale {
  at(value: number): number;
  ticks: readonly { value: number; label: string }[];
}

/** From where to where an axis goes, in pixels. */
type Span = readonly [from: number, to: number];

/** The axis of a count from 0 to `last`: round whole numbers, at most some six. */
export function countScale(last: number, span: Span): Scale {
  return scaleOf({ min: 0, max: last, interval: Math.max(1, roundStep(last / 5)) }, span, formatShortCount);
}

/** The axis that holds `low` to `high` between round ends. */
export function linearScale(low: number, high: number, span: Span): Scale {
  return scaleOf(roundRange(low, high), span, shortNumber);
}

/** The logarithmic axis of counts, zero among them, that holds `low` to `high` between powers of ten. */
export function logScale(low: number, high: number, span: Span): Scale {
  const min = Math.floor(logWithZero(low));
  const max = Math.max(Math.ceil(logWithZero(high)), min + 1);
  const { at, ticks } = scaleOf({ min, max, interval: Math.ceil((max - min) / 5) }, span, (position) =>
    formatShortCount(unLogWithZero(position)),
  );
  return {
    at: (value) => at(logWithZero(value)),
    ticks: ticks.map(({ value, label }) => ({ value: unLogWithZero(value), label })),
  };
}

/** The logarithmic axis of positive values that holds `low` to `high` with a little room, its ticks at round numbers. */
export function magnitudeScale(low: number, high: number, [from, to]: Span, label: (value: number) => string): Scale {
  // What hardly differs is shown as the same.
  const room = high < 1.05 * low ? 0.3 : 0.05 * Math.log10(high / low);
  const [min, max] = [Math.log10(low) - room, Math.log10(high) + room];
  const at = (value: number) => from + ((to - from) * (Math.log10(value) - min)) / (max - min);
  const choices = TICKS.map((factors) => ticksBetween(10 ** min, 10 ** max, factors));
  const values = choices.find(({ length }) => length >= 3) ?? evenTicks(10 ** min, 10 ** max);
  let end = Number.NEGATIVE_INFINITY;
  const ticks = values.flatMap((value) => {
    const half = textWidth(label(value), 12) / 2 + 5;
    // Labels that would touch.
    if (at(value) - half < end) return [];
    end = at(value) + half;
    return [{ value, label: label(value) }];
  });
  return { at, ticks };
}

/** Where a power of ten has ticks, from few to many. */
const TICKS: readonly (readonly number[])[] = [[1], [1, 2, 5], [1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9]];

function ticksBetween(low: number, high: number, factors: readonly number[]): number[] {
  const [first, last] = [Math.floor(Math.log10(low)), Math.floor(Math.log10(high))];
  const powers = Array.from({ length: last - first + 1 }, (_, i) => 10 ** (first + i));
  return powers
    .flatMap((power) => factors.map((factor) => Number((factor * power).toPrecision(3))))
    .filter((value) => value >= low && value <= high);
}

/** Ticks at equal distances, for a range of which hardly a power of ten has one. */
function evenTicks(low: number, high: number): number[] {
  const step = roundStep((high - low) / 8);
  const first = Math.ceil(low / step);
  const count = Math.floor(high / step) - first + 1;
  return Array.from({ length: count }, (_, i) => Number(((first + i) * step).toPrecision(6)));
}

/** An axis's ends, and the distance of its ticks, which lie at multiples of it. */
export interface AxisRange {
  min: number;
  max: number;
  interval: number;
}

function scaleOf({ min, max, interval }: AxisRange, [from, to]: Span, label: (value: number) => string): Scale {
  const ticks = Array.from({ length: Math.floor((max - min) / interval + 1e-9) + 1 }, (_, index) => {
    const value = (Math.round(min / interval) + index) * interval;
    return { value, label: label(value) };
  });
  return { at: (value) => from + ((to - from) * (value - min)) / (max - min), ticks };
}

/** The range between round ends that holds `low` to `high`, in some five steps; where they hardly differ, also zero. */
export function roundRange(low: number, high: number): AxisRange {
  const largest = Math.max(Math.abs(low), Math.abs(high));
  if (largest < SMALLEST) return roundRange(0, 1);
  if (high - low < 1e-3 * largest) return roundRange(Math.min(0, low), Math.max(0, high));
  const interval = roundStep((high - low) / 5);
  const min = Math.floor(low / interval + 1e-9) * interval;
  const max = Math.ceil(high / interval - 1e-9) * interval;
  return { min, max, interval };
}

/** Below it, where doubles lose their digits, a range is none. */
const SMALLEST = 1e-290;

/** The smallest of 1, 2, 5 times a power of ten that is not below `atLeast`. */
function roundStep(atLeast: number): number {
  const power = 10 ** Math.floor(Math.log10(atLeast));
  const factor = [1, 2, 5, 10].find((factor) => factor * power >= atLeast * (1 - 1e-9)) ?? 10;
  return factor * power;
}

/** A tick's number in a few characters: `0.15`, `-20`, `1.2e-5`. */
function shortNumber(value: number): string {
  const exact = Number(value.toPrecision(12));
  const plain = exact === 0 || (Math.abs(exact) >= 1e-3 && Math.abs(exact) < 1e5);
  return plain ? String(exact) : exact.toExponential().replace("e+", "e");
}

/**
 * A logarithm that has room for zero: 0 → 0, 1 → 1, 10 → 2, 100 → 3; straight between 0 and 1. Counts are
 * whole, so nothing but means lies in that stretch.
 */
function logWithZero(value: number): number {
  return value <= 1 ? value : 1 + Math.log10(value);
}

/** The inverse of {@link logWithZero}. */
function unLogWithZero(position: number): number {
  return position <= 1 ? position : 10 ** (position - 1);
}
