import { thin } from "../report/curves.js";
import { Buckets } from "./buckets.js";
import type { FollowedRun } from "./followed-run.js";
import { parsedLines } from "./parsed-lines.js";
import { type Curve, type CurvesView, FIGURES, type Figure, type TestPoint } from "./protocol.js";

/** What is read of the files at most for one view; a wider part is shown as coarsely as it is in memory. */
const MOST_DETAIL_BYTES = 8 * 1024 * 1024;
/** Tests shown of a run. */
const MOST_TESTS = 500;

/** The part of the runs' curves to show. */
export interface CurvesQuery {
  /** The first step. */
  readonly from: number;
  /** The last one; null for the runs' last. */
  readonly to: number | null;
  /** Buckets at most. */
  readonly points: number;
}

/** The runs' figures from one step to another, in buckets that are the same for all. */
export function curvesOf(runs: readonly FollowedRun[], query: CurvesQuery): CurvesView {
  const last = Math.max(1, ...runs.map(({ figures }) => figures.series.lastStep));
  const to = Math.min(query.to ?? last, last);
  const size = bucketSize(runs, { ...query, to });
  const from = Math.floor(Math.min(query.from, to) / size) * size;
  const length = Math.floor((to - from) / size) + 1;
  return {
    steps: Array.from({ length }, (_, i) => from + i * size + Math.floor(size / 2)),
    size,
    runs: runs.map((run) => ({
      id: run.id,
      curves: curvesIn(bucketsOf(run, from, size, length)),
      tests: testsIn(run.figures.tests, from, from + size * length),
    })),
  };
}

/** The least power of two with which the points suffice, and for which not too much of the files is needed. */
function bucketSize(runs: readonly FollowedRun[], { from, to, points }: CurvesQuery & { to: number }): number {
  let size = 1;
  while ((to - from + 1) / size > points) size *= 2;
  const finer = runs.filter(({ figures }) => size < figures.series.width);
  const bytes = finer.map(({ figures, file }) => {
    const [begin, end] = figures.series.placeOf(from, to + 1, file.offset);
    return end - begin;
  });
  if (bytes.reduce((sum, own) => sum + own, 0) <= MOST_DETAIL_BYTES) return size;
  return Math.max(...finer.map(({ figures }) => figures.series.width));
}

function bucketsOf({ figures, file }: FollowedRun, from: number, size: number, length: number): Buckets {
  const { series } = figures;
  if (size >= series.width) return series.view(from, size, length);
  const buckets = new Buckets(length);
  for (const lines of file.between(...series.placeOf(from, from + size * length, file.offset))) {
    for (const { metrics } of parsedLines(lines)) {
      if (metrics?.kind !== "step") continue;
      const bucket = Math.floor((metrics.step - from) / size);
      if (bucket >= 0 && bucket < length) buckets.add(bucket, metrics);
    }
  }
  return buckets;
}

function curvesIn(buckets: Buckets): Record<Figure, Curve> {
  const curve = (figure: Figure): Curve => {
    const all = buckets.of(figure);
    const values = (of: "mean" | "least" | "most") => all.map((bucket) => bucket && rounded(bucket[of]));
    return { mean: values("mean"), least: values("least"), most: values("most") };
  };
  return Object.fromEntries(FIGURES.map((figure) => [figure, curve(figure)])) as Record<Figure, Curve>;
}

/** To six digits: more exact than any screen shows. */
function rounded(value: number): number {
  if (value === 0) return 0;
  const digits = 5 - Math.floor(Math.log10(Math.abs(value)));
  // By a whole number either way, so that the result has no more digits.
  return digits >= 0
    ? Math.round(value * 10 ** digits) / 10 ** digits
    : Math.round(value / 10 ** -digits) * 10 ** -digits;
}

function testsIn(tests: readonly TestPoint[], from: number, to: number): TestPoint[] {
  return thin(
    tests.filter(({ step }) => step >= from && step < to),
    MOST_TESTS,
  );
}
