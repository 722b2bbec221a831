import { COLOURS } from "./colours.js";
import { type Box, dots, lineFrom, textAt } from "./svg.js";
import { textWidth } from "./text-width.js";

/** Height of a panel's heading in pixels. */
export const HEADING_HEIGHT = 28;

/** One entry of a panel's legend. */
export interface LegendEntry {
  label: string;
  colour: string;
  mark: "line" | "points" | "dashes";
}

/** A panel's title and, to the right of it, as much of its legend as fits the panel. */
export function heading(box: Box, title: string, legend: readonly LegendEntry[]): string {
  const y = box.y + 9;
  let x = box.x + textWidth(title, 15, "bold") + 12;
  const parts = [textAt([box.x, y], title, { size: 15, weight: "bold" })];
  for (const { label, colour, mark } of legend) {
    const textX = x + MARK_WIDTH + 6;
    const end = textX + textWidth(label, 12);
    if (end > box.x + box.width) break;
    const stroke = mark === "dashes" ? dashed(colour) : { stroke: colour, "stroke-width": 2 };
    parts.push(lineFrom([x, y], [x + MARK_WIDTH, y], stroke));
    if (mark === "points") parts.push(dots([[x + MARK_WIDTH / 2, y]], 3.5, colour));
    parts.push(textAt([textX, y], label, { colour: COLOURS.muted }));
    x = end + 10;
  }
  return parts.join("");
}

const MARK_WIDTH = 18;

/** How dashed lines look, in a legend and in a plot. */
export function dashed(colour: string) {
  return { stroke: colour, "stroke-dasharray": "4 3" };
}
