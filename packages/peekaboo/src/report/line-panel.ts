import { COLOURS, SERIES } from "./colours.js";
import { HEADING_HEIGHT, heading } from "./panel.js";
import type { Scale } from "./scale.js";
import { type Box, dots, lineFrom, type Pixel, polyline, textAt, turnedText } from "./svg.js";
import { shortened, textWidth } from "./text-width.js";

/** A point of a line that is compared with others, and how far its values spread. */
interface LinePoint {
  readonly x: number;
  readonly y: number;
  readonly deviation?: number | null;
}

export interface Line {
  readonly label: string;
  readonly points: readonly LinePoint[];
}

/** What a panel of lines that are compared shows. */
export interface LinePanelOptions {
  readonly title: string;
  readonly box: Box;
  readonly lines: readonly Line[];
  /** The axes, once it is known where they lie. */
  x(span: readonly [from: number, to: number]): Scale;
  y(span: readonly [from: number, to: number]): Scale;
  /** What stands below the axis. */
  xTitle: string;
  /** Whether each point is marked by a dot. */
  marked: boolean;
  /** Whether lines are drawn a little beside one another, so that points in one place don't cover each other. */
  readonly apart?: boolean;
  /** Pixels that the axis's labels take below it; where there are more than a line's, they are turned. */
  labelHeight?: number;
}

const LABEL = { size: 12, colour: COLOURS.muted, anchor: "middle" } as const;
const LEFT = 46;
/** Half of a label at the axis's end. */
const RIGHT = 12;
const LINE_OF_LABELS = 22;

/** A panel of lines, with error bars where values spread; {@link lineLegend} tells them apart. */
export function linePanel(options: LinePanelOptions): string {
  const { title, box, lines, xTitle, marked, apart = false, labelHeight = LINE_OF_LABELS } = options;
  const below = labelHeight + (xTitle === "" ? 0 : 22);
  const plot = {
    x: box.x + LEFT,
    y: box.y + HEADING_HEIGHT,
    width: box.width - LEFT - RIGHT,
    height: box.height - HEADING_HEIGHT - below,
  };
  const [right, bottom] = [plot.x + plot.width, plot.y + plot.height];
  const [x, y] = [options.x([plot.x, right]), options.y([bottom, plot.y])];
  const drawn = lines.map(({ points }, i) =>
    drawnLine(points, { x, y, plot, marked, apart, place: [i, lines.length] }),
  );
  return [
    heading(box, title, []),
    axes(plot, x, y, labelHeight),
    ...drawn,
    xTitle === "" ? "" : textAt([plot.x + plot.width / 2, bottom + below - 8], xTitle, LABEL),
    lines.some(({ points }) => points.length > 0)
      ? ""
      : textAt([plot.x + plot.width / 2, plot.y + plot.height / 2], "nothing recorded", LABEL),
  ].join("");
}

interface DrawnLine {
  x: Scale;
  y: Scale;
  plot: Box;
  marked: boolean;
  apart: boolean;
  /** Which line of how many. */
  place: readonly [index: number, of: number];
}

function drawnLine(points: readonly LinePoint[], { x, y, plot, marked, apart, place: [index, of] }: DrawnLine): string {
  const aside = apart ? (index - (of - 1) / 2) * Math.min(3, 24 / of) : 0;
  const [top, bottom] = [plot.y, plot.y + plot.height];
  const within = (pixel: number) => Math.min(bottom, Math.max(top, pixel));
  const pixels = points.map((point): Pixel => [x.at(point.x) + aside, y.at(point.y)]);
  const stroke = strokeOf(index);
  const bars = points.map(({ y: mean, deviation = null }, i) => {
    const [at = 0] = pixels[i] ?? [];
    if (deviation === null || deviation === 0) return "";
    const [low, high] = [within(y.at(mean - deviation)), within(y.at(mean + deviation))];
    const cap = (height: number) => lineFrom([at - 3, height], [at + 3, height], { stroke: stroke.stroke });
    return [lineFrom([at, low], [at, high], { stroke: stroke.stroke }), cap(low), cap(high)].join("");
  });
  return [
    polyline(pixels, { ...stroke, "stroke-width": 2 }),
    ...bars,
    marked ? dots(pixels, 3.5, stroke.stroke) : "",
  ].join("");
}

/** A line's colour, and dashes once the colours come again. */
function strokeOf(index: number): { stroke: string; "stroke-dasharray"?: string } {
  const stroke = SERIES[index % SERIES.length] ?? COLOURS.text;
  const dashes = ["", "7 3", "2 3", "9 3 2 3"][Math.floor(index / SERIES.length) % 4] ?? "";
  return dashes === "" ? { stroke } : { stroke, "stroke-dasharray": dashes };
}

/** The lines and labels of a plot's axes, and lines behind it where they have ticks. */
function axes(plot: Box, x: Scale, y: Scale, labelHeight: number): string {
  const [right, bottom] = [plot.x + plot.width, plot.y + plot.height];
  const [faint, frame] = [{ stroke: COLOURS.faint }, { stroke: COLOURS.frame }];
  const turned = labelHeight > LINE_OF_LABELS;
  return [
    ...x.ticks.map(({ value }) => lineFrom([x.at(value), plot.y], [x.at(value), bottom], faint)),
    ...y.ticks.flatMap(({ value, label }) => [
      lineFrom([plot.x, y.at(value)], [right, y.at(value)], faint),
      textAt([plot.x - 8, y.at(value)], label, { ...LABEL, anchor: "end" }),
    ]),
    lineFrom([plot.x, bottom], [right, bottom], frame),
    ...x.ticks.map(({ value, label }) => {
      if (label === "") return "";
      const place: Pixel = [x.at(value), bottom + (turned ? 8 : 14)];
      return turned ? turnedText(place, label, LABEL) : textAt(place, label, LABEL);
    }),
  ].join("");
}

const ROW = 20;
const MARK = 22;

/** The height in pixels of a legend of so many labels in a picture of that width. */
export function legendHeight(labels: readonly string[], width: number): number {
  return placesOf(labels, width).rows * ROW;
}

/** The legend of lines, in rows from left to right. */
export function lineLegend({ x, y, width }: Omit<Box, "height">, labels: readonly string[]): string {
  const { places } = placesOf(labels, width);
  return labels
    .map((label, i) => {
      const { left, row } = places[i] ?? { left: 0, row: 0 };
      const [from, middle] = [x + left, y + row * ROW + ROW / 2];
      const stroke = strokeOf(i);
      return [
        lineFrom([from, middle], [from + MARK, middle], { ...stroke, "stroke-width": 2 }),
        dots([[from + MARK / 2, middle]], 3.5, stroke.stroke),
        textAt([from + MARK + 6, middle], shortened(label, width - MARK - 6, 12)),
      ].join("");
    })
    .join("");
}

function placesOf(labels: readonly string[], width: number) {
  let [left, row] = [0, 0];
  const places = labels.map((label) => {
    const own = Math.min(width, MARK + 6 + textWidth(label, 12) + 16);
    if (left > 0 && left + own > width) [left, row] = [0, row + 1];
    const place = { left, row };
    left += own;
    return place;
  });
  return { places, rows: labels.length === 0 ? 0 : row + 1 };
}
