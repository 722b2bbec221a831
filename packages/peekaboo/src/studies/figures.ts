import { formatBytes, formatPercent } from "../console/format.js";
import { type Line, legendHeight, lineLegend, linePanel } from "../report/line-panel.js";
import { countScale, linearScale, logScale, magnitudeScale, type Scale } from "../report/scale.js";
import { type Box, picture } from "../report/svg.js";
import { shortened, textWidth } from "../report/text-width.js";
import { groupBy } from "./group-by.js";
import { type Group, spreadOf } from "./results.js";
import type { RunFacts } from "./run-facts.js";

/** A figure of a study. */
export interface Figure {
  /** Its file's name, without the ending. */
  readonly name: string;
  readonly title: string;
  /** What it shows, in a sentence. */
  readonly caption: string;
  readonly svg: string;
}

const WIDTH = 720;
const MARGIN = 20;
const PANEL = 320;
const SMALL_PANEL = 190;
/** Densities that have a panel each. */
const MAX_PANELS = 8;
/** Pixels of the longest name of a layer. */
const MAX_LABEL = 140;
/** Layers up to which each has a dot. */
const MAX_MARKED = 64;
/** Pixels from one turned name to the next. */
const LABEL_DISTANCE = 16;
/** Parts of a run whose flips are averaged. */
const PARTS = 60;

type Span = Parameters<typeof countScale>[1];

/** The figures that the groups of a study give; those that would be empty are left out. */
export function figuresOf(groups: readonly Group[]): Figure[] {
  const known = groups.filter(({ facts }) => facts.length > 0);
  if (known.length === 0) return [];
  const figures = [againstDensity(known), againstSize(known), keptPerLayer(known), flipsOverTime(known)];
  return figures.filter((figure) => figure !== null);
}

/** Each method's groups in ascending order of `by`, in the order in which the methods came. */
function byMethod(groups: readonly Group[], by: (group: Group) => number): Map<string, Group[]> {
  const methods = groupBy(groups, ({ method }) => method);
  return new Map([...methods].map(([method, own]) => [method, own.toSorted((a, b) => by(a) - by(b))]));
}

function meanOf({ facts }: Group, of: (facts: RunFacts) => number): number {
  return spreadOf(facts.map(of)).mean;
}

const sizeOf = ({ pabBytes, idealBytes }: RunFacts) => pabBytes ?? idealBytes;

function percentOf(fraction: number): string {
  return formatPercent(fraction).replace(/\.(\d*[1-9])?0+$/, (_, digits = "") => (digits === "" ? "" : `.${digits}`));
}

function againstDensity(groups: readonly Group[]): Figure {
  const share = (group: Group) => meanOf(group, ({ kept, total }) => kept / total);
  return accuracyFigure(groups, share, {
    name: "accuracy-density",
    title: "Test accuracy (%) against weights kept",
    caption:
      "Test accuracy at the end of training against the fraction of the prunable weights that is kept: mean and sample standard deviation over the seeds.",
    xTitle: "weights kept (%)",
    label: percentOf,
  });
}

function againstSize(groups: readonly Group[]): Figure {
  const ideal = groups.some(({ facts }) => facts.some(({ pabBytes }) => pabBytes === null));
  const others = ideal
    ? " Where the weights were trained there is none: the size at each layer's entropy stands for it."
    : "";
  return accuracyFigure(groups, (group) => meanOf(group, sizeOf), {
    name: "accuracy-size",
    title: "Test accuracy (%) against file size",
    caption: `Test accuracy at the end of training against the size of the .pab file that holds the network: mean and sample standard deviation over the seeds.${others}`,
    xTitle: "size of the file",
    label: (value) => formatBytes(value).replace(".0 ", " "),
  });
}

interface AccuracyFigure extends Pick<Figure, "name" | "title" | "caption"> {
  xTitle: string;
  label(value: number): string;
}

function accuracyFigure(groups: readonly Group[], x: (group: Group) => number, how: AccuracyFigure): Figure {
  const { name, title, caption, xTitle, label } = how;
  const lines = [...byMethod(groups, x)].map(([method, own]) => ({
    label: method,
    points: own.map((group) => {
      const { mean, deviation } = spreadOf(group.facts.map(({ last }) => last));
      return { x: x(group), y: mean, deviation };
    }),
  }));
  const points = lines.flatMap((line) => line.points);
  const xs = points.map((point) => point.x);
  const ends = points.flatMap(({ y, deviation }) => [y - (deviation ?? 0), y + (deviation ?? 0)]);
  const [low, high] = [Math.max(0, Math.min(...ends)), Math.min(100, Math.max(...ends))];
  const panel = {
    title,
    lines,
    x: (span: Span) => magnitudeScale(Math.min(...xs), Math.max(...xs), span, label),
    y: (span: Span) => linearScale(low, high, span),
    xTitle,
    marked: true,
    apart: true,
  };
  return { name, title, caption, svg: drawn(title, caption, lines, [{ ...panel, height: PANEL }]) };
}

/** The groups of each density that was asked for, the highest first; of many, the first and some between. */
function densitiesOf(groups: readonly Group[]): [density: number, groups: Group[]][] {
  const all = [...groupBy(groups, ({ density }) => density)].sort(([a], [b]) => b - a);
  const every = Math.ceil(all.length / MAX_PANELS);
  return all.filter((_, i) => i % every === 0);
}

function keptPerLayer(groups: readonly Group[]): Figure | null {
  const pruned = groups.filter(({ facts }) => facts.some(({ kept, total }) => kept < total));
  if (pruned.length === 0) return null;
  const names = [...new Set(pruned.flatMap(({ facts }) => facts[0]?.layers.map(({ name }) => name) ?? []))];
  const methods = [...new Set(pruned.map(({ method }) => method))];
  const densities = densitiesOf(pruned);
  const shown = names.map((name) => shortened(name.replace(/\.weight$/, ""), MAX_LABEL, 12));
  const labelHeight = 12 + 0.87 * Math.max(...shown.map((name) => textWidth(name, 12)));
  const panels = densities.map(([density, own], i) => {
    const isLast = i === densities.length - 1;
    return {
      title: `Kept per layer (%), ${percentOf(density)} % in all`,
      lines: methods.map((label) => {
        const group = own.find(({ method }) => method === label);
        return { label, points: group === undefined ? [] : layerPoints(group, names) };
      }),
      x: (span: Span) => layerScale(isLast ? shown : shown.map(() => ""), span),
      y: (span: Span) => logScale(0, 100, span),
      xTitle: "",
      marked: names.length <= MAX_MARKED,
      labelHeight: isLast ? labelHeight : 8,
      height: SMALL_PANEL + (isLast ? labelHeight : 8),
    };
  });
  const title = "Kept per layer";
  const caption =
    "The percentage of each layer's weights that is kept, the mean over the seeds; the axis is logarithmic above 1 % and straight below.";
  const svg = drawn(
    title,
    caption,
    methods.map((label) => ({ label, points: [] })),
    panels,
  );
  return { name: "kept-per-layer", title, caption, svg };
}

function layerPoints({ facts }: Group, names: readonly string[]) {
  return names.flatMap((name, x) => {
    const layers = facts.flatMap((one) => one.layers.filter((layer) => layer.name === name));
    if (layers.length === 0) return [];
    return [{ x, y: spreadOf(layers.map(({ kept, total }) => (100 * kept) / total)).mean }];
  });
}

/** The axis of layers; of names that would touch, some. */
function layerScale(names: readonly string[], [from, to]: Span): Scale {
  const distance = (to - from) / names.length;
  const every = Math.ceil(LABEL_DISTANCE / distance);
  const ticks = names.map((label, value) => ({ value, label })).filter(({ value }) => value % every === 0);
  return { at: (index) => from + distance * (index + 0.5), ticks };
}

function flipsOverTime(groups: readonly Group[]): Figure | null {
  const flipping = groups.filter(({ facts }) => facts.some(({ flipsByStep }) => flipsByStep.length > 0));
  if (flipping.length === 0) return null;
  const methods = [...new Set(flipping.map(({ method }) => method))];
  const densities = densitiesOf(flipping);
  const last = Math.max(...flipping.flatMap(({ facts }) => facts.map(({ steps }) => steps)));
  const panels = densities.map(([density, own], i) => {
    const lines = methods.map((label) => {
      const group = own.find(({ method }) => method === label);
      return { label, points: group === undefined ? [] : flipPoints(group, last) };
    });
    const most = Math.max(1, ...lines.flatMap(({ points }) => points.map(({ y }) => y)));
    const isLast = i === densities.length - 1;
    return {
      title: `Sign flips a step, ${percentOf(density)} % of the weights kept`,
      lines,
      x: (span: Span) => countScale(last, span),
      y: (span: Span) => logScale(0, most, span),
      xTitle: isLast ? "optimiser step" : "",
      marked: false,
      height: SMALL_PANEL + (isLast ? 44 : 22),
    };
  });
  const title = "Sign flips over time";
  const caption = `Weights whose sign a step changed: the mean over the seeds, and over each ${PARTS}th of the longest run.`;
  const svg = drawn(
    title,
    caption,
    methods.map((label) => ({ label, points: [] })),
    panels,
  );
  return { name: "flips", title, caption, svg };
}

function flipPoints({ facts }: Group, last: number) {
  const width = Math.max(1, last / PARTS);
  const parts = groupBy(
    facts.flatMap(({ flipsByStep }) => flipsByStep),
    ([step]) => Math.floor((step - 1) / width),
  );
  return [...parts]
    .sort(([a], [b]) => a - b)
    .map(([, steps]) => ({
      x: spreadOf(steps.map(([step]) => step)).mean,
      y: spreadOf(steps.map(([, flips]) => flips)).mean,
    }));
}

type Panel = Omit<Parameters<typeof linePanel>[0], "box"> & { height: number };

/** Panels one below the other, under the legend of the lines that they share. */
function drawn(title: string, description: string, lines: readonly Line[], panels: readonly Panel[]): string {
  const width = WIDTH - 2 * MARGIN;
  const labels = lines.map(({ label }) => label);
  const top = MARGIN - 8 + legendHeight(labels, width) + 8;
  let y = top;
  const content = panels.map(({ height, ...panel }) => {
    const box: Box = { x: MARGIN, y, width, height };
    y += height + 10;
    return linePanel({ ...panel, box });
  });
  const legend = lineLegend({ x: MARGIN, y: MARGIN - 8, width }, labels);
  return picture({ width: WIDTH, height: Math.ceil(y) }, { title, description }, [legend, ...content]);
}
