import { join } from "node:path";
import { writeFileAtomic } from "@peekaboo/files";
import { formatCount, formatPercent } from "../console/format.js";
import { type EvalMetrics, type Metrics, type PruneMetrics, readMetrics } from "../runs/metrics.js";
import { COLOURS } from "./colours.js";
import { type CurvePanelOptions, curvePanel } from "./curve-panel.js";
import type { Point } from "./curves.js";
import { keptPanel, keptPanelWidth } from "./kept-panel.js";
import { type Box, picture, textAt } from "./svg.js";
import { shortened, textWidth } from "./text-width.js";

const WIDTH = 1200;
const HEIGHT = 900;
const MARGIN = 32;
const TOP = 96;

/** What {@link drawRun} draws. */
export interface RunPicture {
  metrics: readonly Metrics[];
  /** The picture's first line, e.g. `PsgResNet18 on CIFAR-10`. */
  title: string;
  /** The second line; by default what the metrics tell: weights kept, best test accuracy, steps. */
  subtitle?: string;
}

/**
 * Draws a run as one SVG of 1200×900 pixels: loss, accuracy and sign flips over the optimiser steps, and what each
 * layer keeps. Panels for which a run has nothing (flips under SGD, layers without pruning) leave their room to the rest.
 */
export function drawRun({ metrics, title, subtitle = describe(metrics) }: RunPicture): string {
  const layers = metrics.findLast((line): line is PruneMetrics => line.kind === "prune")?.layers ?? [];
  const keptWidth = keptPanelWidth(layers.length);
  const area: Box = { x: MARGIN, y: TOP, width: WIDTH - 2 * MARGIN, height: HEIGHT - TOP - 24 };
  const curvesWidth = keptWidth === 0 ? area.width : area.width - keptWidth - 44;
  const panels = curvePanels(metrics, { ...area, width: curvesWidth });
  if (keptWidth > 0) panels.push(keptPanel({ ...area, x: area.x + area.width - keptWidth, width: keptWidth }, layers));
  const content = [
    headline(title, 34, 22, { weight: "bold" }),
    headline(subtitle, 63, 14, { colour: COLOURS.muted }),
    ...panels,
  ];
  return picture({ width: WIDTH, height: HEIGHT }, { title, description: subtitle }, content);
}

/**
 * Draws the run in a folder from its `metrics.jsonl` into its `run.svg`, whole or not at all.
 *
 * @returns the path of `run.svg`.
 * @throws {UserError} when the metrics can't be read or the picture can't be written.
 */
export function writeRunPicture(runFolder: string, heading: Omit<RunPicture, "metrics">): string {
  const path = join(runFolder, "run.svg");
  const svg = drawRun({ ...heading, metrics: readMetrics(join(runFolder, "metrics.jsonl")) });
  writeFileAtomic(path, [Buffer.from(svg)]);
  return path;
}

function describe(metrics: readonly Metrics[]): string {
  const parts: string[] = [];
  const pruned = metrics.findLast((line): line is PruneMetrics => line.kind === "prune");
  if (pruned !== undefined && pruned.total > 0) {
    const { kept, total } = pruned;
    parts.push(`${formatPercent(kept / total)} % kept (${formatCount(kept)} of ${formatCount(total)} weights)`);
  }
  const best = bestEvaluation(metrics);
  if (best !== undefined)
    parts.push(`best test accuracy ${best.accuracy.toFixed(2)} %, after step ${formatCount(best.step)}`);
  const last = lastStepOf(metrics);
  parts.push(last === 1 ? "1 step" : `${formatCount(last)} steps`);
  const text = parts.join(" · ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function bestEvaluation(metrics: readonly Metrics[]): EvalMetrics | undefined {
  let best: EvalMetrics | undefined;
  for (const line of metrics) if (line.kind === "eval" && line.accuracy > (best?.accuracy ?? -1)) best = line;
  return best;
}

function lastStepOf(metrics: readonly Metrics[]): number {
  return metrics.reduce((last, line) => (line.kind === "prune" ? last : Math.max(last, line.step)), 0);
}

/** The panels of loss, accuracy and, where signs are learned, flips, one below the other. */
function curvePanels(metrics: readonly Metrics[], area: Box): string[] {
  const steps = metrics.filter((line) => line.kind === "step" || line.kind === "skip");
  const evaluations = metrics.filter((line) => line.kind === "eval");
  const best = bestEvaluation(metrics);
  // A step that was skipped has no figures: it breaks the curves.
  const training = (key: "loss" | "accuracy" | "flips"): Point[] =>
    steps.map((line) => [line.step, line.kind === "step" ? line[key] : Number.NaN]);
  const test = (key: "loss" | "accuracy"): Point[] => evaluations.map((line) => [line.step, line[key]]);

  type Content = Pick<CurvePanelOptions, "title" | "training" | "test" | "scale">;
  const curve = (key: "loss" | "accuracy") => ({ points: training(key), label: "training", colour: COLOURS.training });
  const contents: Content[] = [
    { title: "Loss", training: curve("loss"), test: { points: test("loss"), label: "test" } },
    {
      title: "Accuracy (%)",
      training: curve("accuracy"),
      test: { points: test("accuracy"), label: `test, best ${best?.accuracy.toFixed(2)}` },
    },
  ];
  if (steps.some((line) => line.kind === "step" && (line.flips > 0 || line.ar !== undefined))) {
    const flips = { points: training("flips"), label: "per step", colour: COLOURS.flips };
    contents.push({ title: "Sign flips", training: flips, scale: "log" });
  }

  const gap = 14;
  const height = (area.height - (contents.length - 1) * gap) / contents.length;
  const common = { lastStep: Math.max(1, lastStepOf(metrics)), prunings: laterPrunings(metrics) };
  return contents.map((content, index) =>
    curvePanel({
      ...content,
      ...common,
      box: { ...area, y: area.y + index * (height + gap), height },
      namesSteps: index === contents.length - 1,
    }),
  );
}

/** The steps after which the network was pruned, but for prunings before the first step. */
function laterPrunings(metrics: readonly Metrics[]): number[] {
  const found: number[] = [];
  let step = 0;
  for (const line of metrics) {
    if (line.kind !== "prune") step = line.step;
    else if (step > 0) found.push(step);
  }
  return found;
}

/** A line across the picture: smaller where it is long, cut where even that does not suffice. */
function headline(text: string, y: number, size: number, style: { weight?: "bold"; colour?: string }) {
  const room = WIDTH - 2 * MARGIN;
  const fitting = Math.floor((size * room) / textWidth(text, size, style.weight));
  const fontSize = Math.max(0.7 * size, Math.min(size, fitting));
  return textAt([MARGIN, y], shortened(text, room, fontSize, style.weight), { ...style, size: fontSize });
}
