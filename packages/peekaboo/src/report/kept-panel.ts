import type { YAXisComponentOption } from "echarts";
import { formatCount, formatPercent } from "../console/format.js";
import type { LayerKept } from "../runs/metrics.js";
import { roundRange } from "./curves.js";
import { type Box, COLOURS, HEADING_HEIGHT, heading, type Panel, printable, shortened, textWidth } from "./panel.js";

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
export function keptPanel(box: Box, layers: readonly LayerKept[]): Panel {
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
    const place = { x, y: box.y + HEADING_HEIGHT, width, height: rowHeight * part.length };
    return keptColumn(`kept ${column}`, place, part, style);
  });
  const rest = shown.length < layers.length ? `, first ${shown.length} of ${formatCount(layers.length)}` : "";
  const overall = {
    label: `overall ${formatPercent(style.overall / 100)}`,
    colour: COLOURS.text,
    mark: "dashes",
  } as const;
  return {
    grid: parts.flatMap(({ grid }) => grid),
    xAxis: parts.flatMap(({ xAxis }) => xAxis),
    yAxis: parts.flatMap(({ yAxis }) => yAxis),
    series: parts.flatMap(({ series }) => series),
    graphic: heading(box, `Kept per layer (%)${rest}`, [overall]),
  };
}

interface Bar {
  name: string;
  percent: number;
  colour: string;
}

function barOf(layer: LayerKept, nameWidth: number, fontSize: number): Bar {
  return {
    name: shortened(printable(layer.name.replace(/\.weight$/, "")), nameWidth, fontSize),
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
function keptColumn(id: string, box: Box, bars: readonly Bar[], style: ColumnStyle): Omit<Panel, "graphic"> {
  const { fontSize, namesWidth, overall, max } = style;
  const width = box.width - namesWidth - textWidth("<0.01", fontSize) - 4;
  return {
    grid: [{ id, left: box.x + namesWidth, top: box.y, width, height: box.height }],
    xAxis: [{ id, gridId: id, type: "value", min: 0, max, show: false }],
    yAxis: [
      labels(id, id, bars, fontSize, ({ name }) => name),
      {
        ...labels(id, `${id} figures`, bars, fontSize, ({ percent }) => formatPercent(percent / 100)),
        position: "right",
      },
    ],
    series: [
      {
        type: "bar",
        xAxisId: id,
        yAxisId: id,
        silent: true,
        data: bars.map(({ percent }) => percent),
        barWidth: "66%",
        itemStyle: { color: COLOURS.kept },
        showBackground: true,
        backgroundStyle: { color: COLOURS.track },
        markLine: {
          silent: true,
          symbol: "none",
          label: { show: false },
          lineStyle: { color: COLOURS.text, type: "dashed", width: 1 },
          data: [{ xAxis: overall }],
        },
      },
    ],
  };
}

/** An axis that writes one text beside each bar. */
function labels(
  gridId: string,
  id: string,
  bars: readonly Bar[],
  fontSize: number,
  text: (bar: Bar) => string,
): YAXisComponentOption {
  return {
    id,
    gridId,
    type: "category",
    inverse: true,
    data: bars.map(text),
    axisLine: { show: false },
    axisTick: { show: false },
    axisLabel: {
      interval: 0,
      fontSize,
      margin: 6,
      color: (_, index) => bars[index ?? 0]?.colour ?? COLOURS.text,
    },
  };
}
