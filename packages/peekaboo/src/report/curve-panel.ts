import type { LineSeriesOption } from "echarts";
import { formatShortCount } from "../console/format.js";
import {
  type AxisRange,
  countTicks,
  envelope,
  logWithZero,
  type Point,
  quantile,
  roundRange,
  smooth,
  thin,
  unLogWithZero,
} from "./curves.js";
import { type Box, COLOURS, HEADING_HEIGHT, heading, type LegendEntry, type Panel, textAt } from "./panel.js";

/** What a panel of curves over the optimiser steps shows. */
export interface CurvePanelOptions {
  id: string;
  title: string;
  box: Box;
  /** The last step of the run, where the axis ends. */
  lastStep: number;
  /** One value per optimiser step: drawn faint, and smoothed on top. */
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
export function curvePanel(options: CurvePanelOptions): Panel {
  const { id, box, training, test, scale = "linear", prunings, namesSteps } = options;
  const toAxis = scale === "log" ? logWithZero : (value: number) => value;
  const onAxis = (points: readonly Point[]): Point[] => points.map(([step, value]) => [step, toAxis(value)]);
  const raw = onAxis(training.points);
  const trend = onAxis(trendOf(training.points));
  const tests = onAxis(test?.points ?? []);
  const range = scale === "log" ? decades(raw, trend) : roundRange(...extent(raw, [...trend, ...tests]));

  const legend: LegendEntry[] = [];
  if (raw.length > 0) legend.push({ label: training.label, colour: training.colour, mark: "line" });
  if (test !== undefined && tests.length > 0) legend.push({ label: test.label, colour: COLOURS.test, mark: "points" });
  if (prunings.length > 0) legend.push({ label: "pruned", colour: COLOURS.muted, mark: "dashes" });

  const bottom = 24 + (namesSteps ? 18 : 0);
  const plot = { x: box.x + 46, y: box.y + HEADING_HEIGHT, width: box.width - 46, height: 0 };
  plot.height = box.height - HEADING_HEIGHT - bottom;
  const middle = textAt(plot.x + plot.width / 2, plot.y + plot.height / 2, "nothing recorded", {
    colour: COLOURS.muted,
    align: "center",
  });
  const empty = raw.length === 0 && tests.length === 0;
  return {
    grid: [{ id, left: plot.x, top: plot.y, width: plot.width, height: plot.height }],
    ...axes(options, range),
    series: [...trainingSeries(options, raw, trend), testSeries(options, tests)],
    graphic: [...heading(box, options.title, legend), ...(empty ? [middle] : [])],
  };
}

/** Most points of one curve: as many as its panel has pixels. */
function pointsOf(box: Box): number {
  return Math.round(box.width);
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
  const values = raw.map(([, value]) => value);
  const bounds = [quantile(values, 0.01), quantile(values, 0.99), ...whole.map(([, value]) => value)];
  const known = bounds.filter((value) => Number.isFinite(value));
  if (known.length === 0) return [0, 1];
  return [known.reduce((a, b) => Math.min(a, b)), known.reduce((a, b) => Math.max(a, b))];
}

function decades(raw: readonly Point[], trend: readonly Point[]): AxisRange {
  const [low, high] = extent(raw, trend);
  const min = Math.floor(low);
  const max = Math.max(Math.ceil(high), min + 1);
  return { min, max, interval: Math.ceil((max - min) / 5) };
}

function axes(
  { id, lastStep, scale, namesSteps }: CurvePanelOptions,
  range: AxisRange,
): Pick<Panel, "xAxis" | "yAxis"> {
  const ticks = countTicks(lastStep);
  const label = { color: COLOURS.muted, fontSize: 11 };
  return {
    xAxis: [
      {
        id,
        gridId: id,
        type: "value",
        min: 0,
        max: lastStep,
        axisLine: { onZero: false, lineStyle: { color: COLOURS.frame } },
        axisTick: { show: true, customValues: ticks, lineStyle: { color: COLOURS.frame } },
        axisLabel: { ...label, customValues: ticks, formatter: formatShortCount },
        splitLine: { show: false },
        ...(namesSteps && { name: "optimiser step", nameLocation: "middle", nameGap: 26, nameTextStyle: label }),
      },
    ],
    yAxis: [
      {
        id,
        gridId: id,
        type: "value",
        ...range,
        axisLine: { show: false },
        axisTick: { show: false },
        axisLabel:
          scale === "log" ? { ...label, formatter: (at: number) => formatShortCount(unLogWithZero(at)) } : label,
        splitLine: { lineStyle: { color: COLOURS.faint } },
      },
    ],
  };
}

function trainingSeries(
  { id, box, training, prunings }: CurvePanelOptions,
  raw: Point[],
  trend: Point[],
): LineSeriesOption[] {
  const few = raw.length <= FEW_POINTS;
  const { colour } = training;
  const common = {
    type: "line",
    xAxisId: id,
    yAxisId: id,
    silent: true,
    symbol: "circle",
    itemStyle: { color: colour },
  } as const;
  const marks = prunings.map((xAxis) => ({ xAxis }));
  const smoothed: LineSeriesOption = {
    ...common,
    data: thin(trend, pointsOf(box)),
    showSymbol: few,
    symbolSize: 7,
    lineStyle: { color: colour, width: 2 },
    markLine: {
      silent: true,
      symbol: "none",
      label: { show: false },
      lineStyle: { color: COLOURS.muted, type: "dashed", width: 1 },
      data: marks,
    },
  };
  if (few) return [smoothed];
  const faint: LineSeriesOption = {
    ...common,
    data: envelope(raw, pointsOf(box)),
    showSymbol: false,
    lineStyle: { color: colour, width: 1, opacity: 0.28 },
  };
  return [faint, smoothed];
}

function testSeries({ id, box }: CurvePanelOptions, tests: Point[]): LineSeriesOption {
  return {
    type: "line",
    xAxisId: id,
    yAxisId: id,
    silent: true,
    data: thin(tests, pointsOf(box)),
    symbol: "circle",
    showSymbol: tests.length <= 200,
    symbolSize: tests.length <= FEW_POINTS ? 7 : 4,
    itemStyle: { color: COLOURS.test },
    lineStyle: { color: COLOURS.test, width: 1.5 },
  };
}
