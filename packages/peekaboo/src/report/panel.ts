import type {
  GraphicComponentOption,
  GridComponentOption,
  SeriesOption,
  XAXisComponentOption,
  YAXisComponentOption,
} from "echarts";

/** A rectangle of the picture, in pixels from its top left. */
export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** What one panel adds to the chart; its grids, axes and series name each other by id. */
export interface Panel {
  grid: GridComponentOption[];
  xAxis: XAXisComponentOption[];
  yAxis: YAXisComponentOption[];
  series: SeriesOption[];
  graphic: GraphicComponentOption[];
}

/** Okabe and Ito's palette, which colour-blind readers can tell apart, and greys. */
export const COLOURS = {
  text: "#1a1a1a",
  muted: "#5f6368",
  frame: "#c4c7cc",
  faint: "#e8eaed",
  track: "#f3f4f6",
  training: "#0072b2",
  test: "#d55e00",
  flips: "#008a65",
  kept: "#56b4e9",
  warning: "#c43b00",
};

/** Height of a panel's heading in pixels. */
export const HEADING_HEIGHT = 28;

/** One entry of a panel's legend. */
export interface LegendEntry {
  label: string;
  colour: string;
  mark: "line" | "points" | "dashes";
}

/** A panel's title and, to the right of it, as much of its legend as fits the panel. */
export function heading(box: Box, title: string, legend: readonly LegendEntry[]): GraphicComponentOption[] {
  const y = box.y + 9;
  let x = box.x + textWidth(title, 15, "bold") + 22;
  const elements = [textAt(box.x, y, title, { size: 15, weight: "bold" })];
  for (const { label, colour, mark } of legend) {
    const textX = x + MARK_WIDTH + 6;
    const end = textX + textWidth(label, 12);
    if (end > box.x + box.width) break;
    elements.push(...legendMark(x, y, colour, mark), textAt(textX, y, label, { colour: COLOURS.muted }));
    x = end + 16;
  }
  return elements;
}

const MARK_WIDTH = 18;

function legendMark(x: number, y: number, colour: string, mark: LegendEntry["mark"]): GraphicComponentOption[] {
  const line: GraphicComponentOption = {
    type: "line",
    silent: true,
    shape: { x1: x, y1: y, x2: x + MARK_WIDTH, y2: y },
    style: { stroke: colour, lineWidth: mark === "dashes" ? 1.5 : 2, ...(mark === "dashes" && { lineDash: [4, 3] }) },
  };
  if (mark !== "points") return [line];
  return [
    line,
    { type: "circle", silent: true, shape: { cx: x + MARK_WIDTH / 2, cy: y, r: 3.5 }, style: { fill: colour } },
  ];
}

/** A line of text, centred on `y`. */
export function textAt(
  x: number,
  y: number,
  text: string,
  {
    size = 12,
    weight = "normal",
    colour = COLOURS.text,
    align = "left",
  }: { size?: number; weight?: "normal" | "bold"; colour?: string; align?: "left" | "center" } = {},
): GraphicComponentOption {
  const style = { text: printable(text), fontSize: size, fontWeight: weight, fill: colour, align };
  return { type: "text", silent: true, x, y, style: { ...style, verticalAlign: "middle" } };
}

/** The width in pixels that a text takes at most, in the widest of the usual sans-serif fonts (DejaVu Sans). */
export function textWidth(text: string, size: number, weight: "normal" | "bold" = "normal"): number {
  const units = Array.from(text, (character) => (character > "\u2fff" ? 1 : NARROW.test(character) ? 0.4 : 0.64));
  return units.reduce((sum, unit) => sum + unit, 0) * size * (weight === "bold" ? 1.12 : 1);
}

const NARROW = /[ .,:;|!'()[\]ijlIt1f·-]/;

/** The text, or as much of its beginning and end as fits `width` pixels. */
export function shortened(text: string, width: number, size: number, weight: "normal" | "bold" = "normal"): string {
  let characters = Array.from(text);
  let short = text;
  while (characters.length > 0 && textWidth(short, size, weight) > width) {
    const middle = Math.floor(characters.length / 3);
    characters = characters.toSpliced(middle, 1);
    short = `${characters.slice(0, middle).join("")}…${characters.slice(middle).join("")}`;
  }
  return short;
}

/** The text without what XML forbids: control characters and halves of surrogate pairs become `\ufffd`. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cs}\ufffe\uffff]/gu, "\ufffd");
}
