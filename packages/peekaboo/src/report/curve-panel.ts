import { COLOURS } from "./colours.js";
import { envelope, type Point, quantile, smooth, thin } from "./curves.js";
import { dashed, HEADING_HEIGHT, heading, type LegendEntry } from "./panel.js";
import { countScale, linearScale, logScale, type Scale } from "./scale.js";
import { type Box, clipped, dots, lineFrom, type Pixel, polyline, textAt } from "./svg.js";

/** What a panel of curves over the optimiser steps shows. */
export interface CurvePanelOptions {
  title: string;
  box: Box;
  /** The last step of the run, where the axis ends. */
  lastStep: number;
  /** One value per optimiser step, NaN where there is none: drawn faint, and smoothed on top. */
  training: { points: readonly Point[]; label: string; colour: string };
  /** One value per evaluation: drawn as dots on a line. */
  test?: { points: readonly Point[]; label: string };
  /** Steps after which the network was pruned again. */
  prunings: readonly number[];
  /** `log` for counts over many magnitudes, zero among them. */
  scale?: "linear" | "log";
  /** Whether to write below the axis what it counts. */
  namesSteps: boolean;
}

/** Up to so many points, each is marked by a dot. */
const FEW_POINTS = 32;

/** A panel of curves over the optimiser steps. Outliers beyond the 99th percentile of single steps may leave the panel. */
export function curvePanel(options: CurvePanelOptions): string {
  const { title, box, lastStep, training, test, prunings, scale = "linear", namesSteps } = options;
  const raw = readable(training.points);
  const trend = trendOf(raw);
  const tests = readable(test?.points ?? []);

  const legend: LegendEntry[] = [];
  if (raw.length > 0) legend.push({ label: training.label, colour: training.colour, mark: "line" });
  if (test !== undefined && tests.length > 0) legend.push({ label: test.label, colour: COLOURS.test, mark: "points" });
  if (prunings.length > 0) legend.push({ label: "pruned", colour: COLOURS.muted, mark: "dashes" });

  const height = box.height - HEADING_HEIGHT - (namesSteps ? 42 : 24);
  const plot = { x: box.x + 46, y: box.y + HEADING_HEIGHT, width: box.width - 46, height };
  const [right, bottom] = [plot.x + plot.width, plot.y + plot.height];
  const x = countScale(lastStep, [plot.x, right]);
  const [low, high] = extent(raw, [...trend, ...tests]);
  const y = (scale === "log" ? logScale : linearScale)(low, high, [bottom, plot.y]);
  const pixels = (points: readonly Point[]) => points.map(([step, value]): Pixel => [x.at(step), y.at(value)]);
  // As many points of a curve as the panel has pixels, and no line cut where it runs along the plot's edge.
  const most = Math.round(box.width);
  const room = { x: plot.x, y: plot.y - 1, width: plot.width + 1, height: plot.height + 2 };

  const few = raw.length <= FEW_POINTS;
  const smoothed = pixels(thin(trend, most));
  const tested = pixels(thin(tests, most));
  const faint = { stroke: training.colour, "stroke-opacity": 0.28 };
  const centre: Pixel = [plot.x + plot.width / 2, plot.y + plot.height / 2];
  return [
    heading(box, title, legend),
    axes(plot, x, y),
    namesSteps ? textAt([centre[0], bottom + 32], "optimiser step", LABEL) : "",
    clipped(room, [
      few ? "" : polyline(pixels(envelope(raw, most)), faint),
      polyline(smoothed, { stroke: training.colour, "stroke-width": 2 }),
      ...prunings.map((step) => lineFrom([x.at(step), plot.y], [x.at(step), bottom], dashed(COLOURS.muted))),
      polyline(tested, { stroke: COLOURS.test, "stroke-width": 1.5 }),
    ]),
    few ? dots(smoothed, 3.5, training.colour) : "",
    tests.length <= 200 ? dots(tested, tests.length <= FEW_POINTS ? 3.5 : 2, COLOURS.test) : "",
    [...raw, ...tests].some(([, value]) => Number.isFinite(value)) ? "" : textAt(centre, "nothing recorded", LABEL),
  ].join("");
}

const LABEL = { size: 11, colour: COLOURS.muted, anchor: "middle" } as const;

/** The points with values that can be added up and divided: the magnitudes at the end of what a double holds are cut. */
function readable(points: readonly Point[]): Point[] {
  return points.map(([step, value]) => [step, Math.max(-1e290, Math.min(value, 1e290))]);
}

/** The training curve, smoothed over 2 % of the run; a short run is left as it is. */
function trendOf(points: readonly Point[]): Point[] {
  const radius = points.length <= FEW_POINTS ? 0 : Math.ceil(points.length / 100);
  const values = smooth(
    points.map(([, value]) => value),
    radius,
  );
  return points.map(([step], index) => [step, values[index] ?? 0]);
}

/** The lowest and highest of `whole`, and of `raw` but for its outermost percents. */
function extent(raw: readonly Point[], whole: readonly Point[]): [low: number, high: number] {
  const values = raw.map(([, value]) => value).filter((value) => Number.isFinite(value));
  const bounds = [quantile(values, 0.01), quantile(values, 0.99), ...whole.map(([, value]) => value)];
  const known = bounds.filter((value) => Number.isFinite(value));
  if (known.length === 0) return [0, 1];
  return [known.reduce((a, b) => Math.min(a, b)), known.reduce((a, b) => Math.max(a, b))];
}

/** The lines and labels of a plot's axes: steps below it, values to the left. */
function axes(plot: Box, x: Scale, y: Scale): string {
  const [right, bottom] = [plot.x + plot.width, plot.y + plot.height];
  const frame = { stroke: COLOURS.frame };
  return [
    ...y.ticks.flatMap(({ value, label }) => [
      lineFrom([plot.x, y.at(value)], [right, y.at(value)], { stroke: COLOURS.faint }),
      textAt([plot.x - 8, y.at(value)], label, { ...LABEL, anchor: "end" }),
    ]),
    lineFrom([plot.x, bottom], [right, bottom], frame),
    ...x.ticks.flatMap(({ value, label }) => [
      lineFrom([x.at(value), bottom], [x.at(value), bottom + 5], frame),
      textAt([x.at(value), bottom + 14], label, LABEL),
    ]),
  ].join("");
}
