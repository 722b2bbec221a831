import { expect } from "vitest";
import { it } from "../../../../tests/support/folder.js";
import type { StepMetrics } from "../runs/metrics.js";
import { curvesOf } from "./curves.js";
import { FollowedRun } from "./followed-run.js";
import { FIGURES } from "./protocol.js";
import { append, asLines, makeRun, someSteps } from "./runs.support.js";

function readOn(run: FollowedRun): void {
  run.look();
  while (run.file.isBehind) run.read();
}

/** What the view must show, from all steps at once. */
function plainly(all: readonly StepMetrics[], from: number, size: number, length: number) {
  const bucketOf = ({ step }: StepMetrics) => Math.floor((step - from) / size);
  const buckets = Array.from({ length }, (): StepMetrics[] => []);
  for (const step of all) buckets[bucketOf(step)]?.push(step);
  return (figure: (typeof FIGURES)[number]) =>
    buckets.map((steps) => {
      const values = steps.map((step) => step[figure] ?? Number.NaN);
      return {
        least: Math.min(...values),
        mean: values.reduce((a, b) => a + b, 0) / values.length,
        most: Math.max(...values),
      };
    });
}

it("shows of every part what plain reading of the whole file gives, also where it is finer than memory", ({
  folder,
}) => {
  const steps = someSteps(1, 20_000);
  const run = new FollowedRun(1, "run", makeRun(folder, "run", steps));
  readOn(run);
  expect(run.figures.series.width).toBe(8);
  for (const [from, to, points, size] of [
    [0, null, 500, 64],
    [0, null, 6000, 4],
    [9_000, 9_100, 500, 1],
    [9_000, 12_000, 1000, 4],
    [19_990, 30_000, 100, 1],
  ] as const) {
    const view = curvesOf([run], { from, to, points });
    expect(view.size).toBe(size);
    const first = (view.steps[0] ?? 0) - Math.floor(size / 2);
    expect(first).toBe(Math.floor(from / size) * size);
    const expected = plainly(steps, first, size, view.steps.length);
    for (const figure of FIGURES) {
      const { least = [], mean = [], most = [] } = view.runs[0]?.curves[figure] ?? {};
      expect(mean.length).toBe(view.steps.length);
      for (const [i, bucket] of expected(figure).entries()) {
        if (Number.isNaN(bucket.mean)) expect(mean[i]).toBeNull();
        else {
          expect(least[i]).toBeCloseTo(bucket.least, 2);
          expect(most[i]).toBeCloseTo(bucket.most, 2);
          expect(mean[i]).toBeCloseTo(bucket.mean, 2);
        }
      }
    }
  }
});

it("comes to the same when a file grows line by line, and when a resumed run has cut it", ({ folder }) => {
  const steps = someSteps(1, 9000);
  const text = asLines(steps);
  const path = makeRun(folder, "grown", []);
  const grown = new FollowedRun(1, "grown", path);
  for (let at = 0; at < text.length; at += 77_777) {
    append(path, text.slice(at, at + 77_777));
    readOn(grown);
  }
  const whole = new FollowedRun(2, "whole", makeRun(folder, "whole", steps));
  readOn(whole);
  const query = { from: 0, to: null, points: 700 };
  const curves = (run: FollowedRun) => curvesOf([run], query).runs[0]?.curves;
  expect(curves(grown)).toEqual(curves(whole));

  const others = [...steps.slice(0, 5000), ...someSteps(5001, 9500, 1)];
  makeRun(folder, "grown", others);
  readOn(grown);
  const other = new FollowedRun(3, "other", makeRun(folder, "other", others));
  readOn(other);
  expect(curves(grown)).toEqual(curves(other));
  expect(curves(grown)).not.toEqual(curves(whole));
});

it("puts runs on the same steps, and leaves empty what one hasn't", ({ folder }) => {
  const runs = [100, 40].map((length, i) => new FollowedRun(i, `${i}`, makeRun(folder, `${i}`, someSteps(1, length))));
  for (const run of runs) readOn(run);
  const { steps, runs: shown } = curvesOf(runs, { from: 1, to: null, points: 500 });
  expect(steps).toEqual(Array.from({ length: 100 }, (_, i) => i + 1));
  expect(shown[1]?.curves.loss.mean.map((value) => value !== null)).toEqual(steps.map((step) => step <= 40));
});
