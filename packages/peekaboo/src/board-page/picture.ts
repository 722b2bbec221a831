import type { RunSummary } from "../board/protocol.js";
import type { Chart } from "./chart.js";
import { colour } from "./dom.js";

type Attributes = Readonly<Record<string, string | number>>;

const MARGIN = 20;
const LINE = 20;
const FONT = "system-ui, sans-serif";
/** Pixels of the PNG for one on the screen. */
const SHARPNESS = 2;

/** Saves the charts as they are seen, with the runs' names, as a file. */
export async function savePicture(
  charts: readonly Chart[],
  runs: readonly RunSummary[],
  type: "svg" | "png",
): Promise<void> {
  const drawing = pictureOf(charts, runs);
  const svg = new Blob([new XMLSerializer().serializeToString(drawing)], { type: "image/svg+xml" });
  const blob = type === "svg" ? svg : await asPng(svg, drawing);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `board.${type}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function pictureOf(charts: readonly Chart[], runs: readonly RunSummary[]): SVGSVGElement {
  const seen = charts.filter(({ element }) => !element.hidden);
  const boxes = seen.map(({ element }) => element.getBoundingClientRect());
  const [left, top] = [Math.min(...boxes.map((box) => box.left)), Math.min(...boxes.map((box) => box.top))];
  const head = MARGIN + LINE * runs.length + MARGIN;
  const width = Math.ceil(Math.max(...boxes.map((box) => box.right)) - left + 2 * MARGIN);
  const height = Math.ceil(Math.max(...boxes.map((box) => box.bottom)) - top + head + MARGIN);
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, "font-family": FONT });
  drawing.append(svg("rect", { width, height, fill: colour("card") }));
  for (const [i, run] of runs.entries()) {
    const y = MARGIN + LINE * i;
    drawing.append(svg("rect", { x: MARGIN, y, width: 12, height: 12, fill: colour(`run-${i}`) }));
    drawing.append(words(run.name, { x: MARGIN + 20, y: y + 11, "font-size": 14, fill: colour("ink") }));
  }
  for (const [i, chart] of seen.entries()) {
    const box = boxes[i];
    if (box !== undefined) drawing.append(panelOf(chart, box.left - left + MARGIN, box.top - top + head));
  }
  return drawing;
}

/** A chart with its corner at a point. */
function panelOf({ kind, plot }: Chart, x: number, y: number): SVGElement {
  const panel = svg("g", { transform: `translate(${x} ${y})` });
  panel.append(words(kind.title, { x: 0, y: 14, "font-size": 14, "font-weight": 600, fill: colour("ink") }));
  if (plot === null) return panel;
  const { offsetLeft, offsetTop, clientWidth: width, clientHeight: height } = plot.over;
  const area = svg("g", { transform: `translate(${offsetLeft} ${offsetTop + 26})` });
  const clip = `clip-${kind.figure}`;
  const clipping = svg("clipPath", { id: clip });
  clipping.append(svg("rect", { width, height }));
  const curves = svg("g", { "clip-path": `url(#${clip})` });
  const runs = (plot.data.length - 1) / 4;
  for (let run = 0; run < runs; run++) curves.append(...curvesOf(plot, run));
  area.append(clipping, ...ticksOf(plot, width, height), curves);
  panel.append(area);
  return panel;
}

/** A run's shade, line and points. */
function curvesOf(plot: uPlot, run: number): SVGElement[] {
  const [mean = [], least = [], most = [], tests = []] = [1, 2, 3, 4].map((i) => pointsOf(plot, 4 * run + i));
  const stroke = colour(`run-${run}`);
  const outline = [...most, ...least.reverse()].map((point) => point.join()).join(" ");
  return [
    svg("polygon", { points: outline, fill: stroke, "fill-opacity": 0.16 }),
    svg("polyline", { points: mean.map((point) => point.join()).join(" "), fill: "none", stroke, "stroke-width": 1.5 }),
    ...tests.map(([cx, cy]) => svg("circle", { cx, cy, r: 3, fill: stroke })),
  ];
}

function pointsOf(plot: uPlot, series: number): [x: number, y: number][] {
  const [steps, values = []] = [plot.data[0], plot.data[series]];
  return Array.from(steps).flatMap((step, i): [number, number][] => {
    const { [i]: value } = values;
    return value === null || value === undefined
      ? []
      : [[hundredths(plot.valToPos(step, "x")), hundredths(plot.valToPos(value, "y"))]];
  });
}

/** The lines and words of the axes, where uPlot has put them. */
function ticksOf(plot: uPlot, width: number, height: number): SVGElement[] {
  return plot.axes.flatMap((axis, i) => {
    // uPlot keeps to itself what it has computed of an axis.
    const { _splits: splits = [], _values: texts = [] } = axis as { _splits?: number[]; _values?: (string | null)[] };
    return splits.flatMap((value, at) => {
      const { [at]: told } = texts;
      if (told === undefined || told === null || told === "") return [];
      const place = hundredths(plot.valToPos(value, i === 0 ? "x" : "y"));
      const line = i === 0 ? { x1: place, x2: place, y1: 0, y2: height } : { x1: 0, x2: width, y1: place, y2: place };
      const spot =
        i === 0 ? { x: place, y: height + 16, "text-anchor": "middle" } : { x: -8, y: place + 4, "text-anchor": "end" };
      const text = words(told, { ...spot, "font-size": 12, fill: colour("soft") });
      return [svg("line", { ...line, stroke: colour("line") }), text];
    });
  });
}

async function asPng(picture: Blob, { width, height }: SVGSVGElement): Promise<Blob> {
  const image = new Image();
  image.src = URL.createObjectURL(picture);
  await image.decode();
  URL.revokeObjectURL(image.src);
  const canvas = document.createElement("canvas");
  canvas.width = SHARPNESS * width.baseVal.value;
  canvas.height = SHARPNESS * height.baseVal.value;
  canvas.getContext("2d")?.drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob === null ? reject(new Error("this browser makes no PNG")) : resolve(blob)));
  });
}

function hundredths(value: number): number {
  return Math.round(100 * value) / 100;
}

function words(text: string, attributes: Attributes): SVGElement {
  const element = svg("text", attributes);
  element.textContent = text;
  return element;
}

function svg<K extends keyof SVGElementTagNameMap>(tag: K, attributes: Attributes): SVGElementTagNameMap[K] {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  return element;
}
