import { formatCount, formatPercent } from "../console/format.js";
import type { LayerKept } from "../runs/metrics.js";
import { COLOURS } from "./colours.js";
import { dashed, HEADING_HEIGHT, heading } from "./panel.js";
import { roundRange } from "./scale.js";
import { type Box, lineFrom, rectangle, textAt } from "./svg.js";
import { shortened, textWidth } from "./text-width.js";

/** Rows that one column holds, each high enough for a readable name. */
const ROWS = 56;
const GAP = 20;

/** Widths of the panel in pixels, by its number of columns. */
const WIDTHS = [0, 460, 540, 640, 720] as const;

/** The width in pixels that the panel needs for that many layers; 0 for none. */
export function keptPanelWidth(layers: number): number {
  return WIDTHS[columnsOf(layers)];
}

function columnsOf(layers: number): 0 | 1 | 2 | 3 | 4 {
  return layers === 0 ? 0 : layers <= ROWS ? 1 : layers <= 2 * ROWS ? 2 : layers <= 3 * ROWS ? 3 : 4;
}

/**
 * A panel with a bar for each layer, the percentage of its weights that is kept, and the whole network's as a dashed
 * line. Of more than 224 layers it shows the first 224, and says so.
 */
export function keptPanel(box: Box, layers: readonly LayerKept[]): string {
  const columns = columnsOf(layers.length);
  const shown = layers.slice(0, columns * ROWS);
  const rows = Math.ceil(shown.length / columns);
  const rowHeight = Math.min(38, (box.height - HEADING_HEIGHT - 4) / rows);
  const width = (box.width - (columns - 1) * GAP) / columns;
  const fontSize = Math.min(12, Math.floor(rowHeight * 0.8));
  const bars = shown.map((layer) => barOf(layer, width * 0.6, fontSize));
  const kept = layers.reduce((sum, layer) => sum + layer.kept, 0);
  const total = layers.reduce((sum, layer) => sum + layer.total, 0);
  const style: ColumnStyle = {
    fontSize,
    namesWidth: Math.max(...bars.map(({ name }) => textWidth(name, fontSize))) + 8,
    overall: percentOf({ kept, total }),
    max: Math.min(100, roundRange(0, Math.max(...bars.map(({ percent }) => percent))).max),
  };
  const parts = Array.from({ length: columns }, (_, column) => {
    const part = bars.slice(column * rows, (column + 1) * rows);
    const x = box.x + column * (width + GAP);
    return keptColumn({ x, y: box.y + HEADING_HEIGHT, width, height: rowHeight * part.length }, part, style);
  });
  const rest = shown.length < layers.length ? `, first ${shown.length} of ${formatCount(layers.length)}` : "";
  const overall = {
    label: `overall ${formatPercent(style.overall / 100)}`,
    colour: COLOURS.text,
    mark: "dashes",
  } as const;
  return [heading(box, `Kept per layer (%)${rest}`, [overall]), ...parts].join("");
}

interface Bar {
  name: string;
  percent: number;
  colour: string;
}

function barOf(layer: LayerKept, nameWidth: number, fontSize: number): Bar {
  return {
    name: shortened(layer.name.replace(/\.weight$/, ""), nameWidth, fontSize),
    percent: percentOf(layer),
    colour: layer.kept === 0 ? COLOURS.warning : COLOURS.text,
  };
}

function percentOf({ kept, total }: { kept: number; total: number }): number {
  return total === 0 ? 0 : (100 * kept) / total;
}

/** What the columns share. */
interface ColumnStyle {
  fontSize: number;
  namesWidth: number;
  /** The whole network's percentage. */
  overall: number;
  /** The percentage at which a bar is full. */
  max: number;
}

/** One column of the panel: names, bars, and the figures right of them; an emptied layer's are in the warning colour. */
function keptColumn(box: Box, bars: readonly Bar[], { fontSize, namesWidth, overall, max }: ColumnStyle): string {
  const x = box.x + namesWidth;
  const width = box.width - namesWidth - textWidth("<0.01", fontSize) - 6;
  const rowHeight = box.height / bars.length;
  const rows = bars.flatMap(({ name, percent, colour }, index) => {
    const top = box.y + index * rowHeight;
    const middle = top + rowHeight / 2;
    const bar = { x, y: top + 0.17 * rowHeight, width, height: 0.66 * rowHeight };
    return [
      textAt([x - 6, middle], name, { size: fontSize, colour, anchor: "end" }),
      rectangle(bar, COLOURS.track),
      rectangle({ ...bar, width: (width * percent) / max }, COLOURS.kept),
      textAt([x + width + 6, middle], formatPercent(percent / 100), { size: fontSize, colour }),
    ];
  });
  const mark = x + (width * overall) / max;
  return [...rows, lineFrom([mark, box.y], [mark, box.y + box.height], dashed(COLOURS.text))].join("");
}
