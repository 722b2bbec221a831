import type { CurvesView, Figure, RunSummary } from "../board/protocol.js";
import { formatCount } from "../console/format.js";
import { colour, el } from "./dom.js";
import { figureText, percentText, stepTexts } from "./words.js";

/** What a chart shows. */
export interface ChartKind {
  readonly figure: Figure;
  readonly title: string;
  /** Whether tests have this figure, too. */
  readonly tested: boolean;
  /** Whether values of very different sizes stand beside each other. */
  readonly logarithmic: boolean;
}

export const CHARTS: readonly ChartKind[] = [
  { figure: "loss", title: "Loss", tested: true, logarithmic: false },
  { figure: "accuracy", title: "Accuracy (%)", tested: true, logarithmic: false },
  { figure: "flips", title: "Sign flips a step", tested: false, logarithmic: true },
  { figure: "ar", title: "Bop's rate γ", tested: false, logarithmic: false },
  { figure: "lr", title: "SGD's learning rate", tested: false, logarithmic: false },
  { figure: "imagesPerSecond", title: "Images per second", tested: false, logarithmic: false },
];

/** Steps, the last included. */
export interface StepRange {
  readonly from: number;
  readonly to: number;
}

/** What is drawn of a run: the mean, the least and the most, and tests. */
const SERIES_A_RUN = 4;
const HEIGHT = 230;
const NARROW_HEIGHT = 190;
const NARROW = 480;

/** One figure of the runs shown, over their steps. */
export class Chart {
  readonly kind: ChartKind;
  readonly element: HTMLElement;
  readonly #readout = el("p", { class: "readout" });
  readonly #room = el("div", { class: "plot", role: "img" });
  readonly #onRange: (range: StepRange | null) => void;
  #plot: uPlot | null = null;
  #runs: readonly RunSummary[] = [];
  #range: StepRange = { from: 0, to: 1 };

  /** @param onRange asked for other steps; null for all */
  constructor(kind: ChartKind, onRange: (range: StepRange | null) => void) {
    this.kind = kind;
    this.#onRange = onRange;
    this.element = el("figure", { "data-figure": kind.figure });
    this.element.append(el("figcaption", {}, el("h3", {}, kind.title)), this.#room, this.#readout);
    new ResizeObserver(() => this.#fit()).observe(this.#room);
  }

  /** What is drawn, for a picture of it. */
  get plot(): uPlot | null {
    return this.#plot;
  }

  /** @param runs those of the view, in its order */
  draw(view: CurvesView, runs: readonly RunSummary[], range: StepRange): void {
    const data = dataOf(view, this.kind);
    this.element.hidden = view.runs.every(({ curves }) => lastOf(curves[this.kind.figure].mean) === null);
    this.#range = range;
    if (this.#plot === null || this.#plot.series.length !== data.length) this.#renew(runs.length);
    this.#runs = runs;
    this.#plot?.setData(data);
    this.#room.setAttribute("aria-label", this.#label(data));
    this.#readOut(null);
  }

  get width(): number {
    return this.#room.clientWidth;
  }

  /** Draws once more, with the colours of now. */
  redraw(): void {
    this.#plot?.redraw();
  }

  #renew(runs: number): void {
    this.#plot?.destroy();
    this.#plot = new uPlot(this.#options(runs), [[]], this.#room);
  }

  #fit(): void {
    if (this.#room.clientWidth > 0) this.#plot?.setSize(this.#size());
  }

  #size(): { width: number; height: number } {
    const width = this.#room.clientWidth || NARROW;
    return { width, height: width < NARROW ? NARROW_HEIGHT : HEIGHT };
  }

  #options(runs: number): uPlot.Options {
    const soft = () => colour("soft");
    const lines = {
      grid: { stroke: () => colour("line"), width: 1 },
      ticks: { stroke: () => colour("line"), width: 1 },
    };
    const short = (_: uPlot, values: number[]) =>
      values.map((value) => (value === null || value < 0 ? "" : figureText(value)));
    // Of a logarithmic axis the powers of ten alone.
    const powers = (_: uPlot, splits: number[]) => splits.map((value) => (isPower(value) ? value : null));
    const rules = this.kind.logarithmic ? { ...lines, grid: { ...lines.grid, filter: powers } } : lines;
    return {
      ...this.#size(),
      legend: { show: false },
      cursor: {
        y: false,
        points: { show: false },
        drag: { x: true, y: false, setScale: false },
        sync: { key: "steps", filters: { pub: (type) => type === "mousemove" || type === "mouseleave" } },
        bind: { dblclick: () => () => this.#leave() },
      },
      scales: {
        x: { time: false, range: () => [this.#range.from, Math.max(this.#range.to, this.#range.from + 1)] },
        y: this.kind.logarithmic ? { distr: 4, asinh: 1, range: (_, __, most) => [0, Math.max(1, most)] } : {},
      },
      axes: [
        { stroke: soft, ...lines, values: (_, values) => stepTexts(values) },
        { stroke: soft, ...rules, size: 68, values: short },
      ],
      series: [{}, ...Array.from({ length: runs }, (_, run) => seriesOf(run)).flat()],
      bands: Array.from({ length: runs }, (_, run) => ({
        series: [SERIES_A_RUN * run + 3, SERIES_A_RUN * run + 2] as [number, number],
        fill: () => `${colour(`run-${run}`)}2a`,
      })),
      hooks: {
        setSelect: [(plot) => this.#select(plot)],
        setCursor: [(plot) => this.#readOut(plot.cursor.idx ?? null)],
      },
    };
  }

  #leave(): null {
    this.#onRange(null);
    return null;
  }

  #select(plot: uPlot): void {
    const { left, width } = plot.select;
    if (width < 3) return;
    const [from, to] = [left, left + width].map((position) => Math.round(plot.posToVal(position, "x")));
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    if (from !== undefined && to !== undefined && to > from) this.#onRange({ from, to });
  }

  /** Tells each run's figure under the cursor, or its last. */
  #readOut(index: number | null): void {
    const data = this.#plot?.data ?? [[]];
    const told = this.#runs.map((_, i) => {
      const means = data[SERIES_A_RUN * i + 1] ?? [];
      const value = figureText(index === null ? lastOf(means) : means[index]);
      return el("span", {}, el("span", { class: `swatch run-${i}`, "aria-hidden": "true" }), value);
    });
    const step = index === null ? undefined : data[0][index];
    this.#readout.replaceChildren(step === undefined ? "Last" : `Step ${formatCount(step)}`, ...told);
  }

  #label(data: uPlot.AlignedData): string {
    const { from, to } = this.#range;
    const told = this.#runs.map((run, i) => {
      const test = lastOf(data[SERIES_A_RUN * i + 4] ?? []);
      const last = figureText(lastOf(data[SERIES_A_RUN * i + 1] ?? []));
      const tested = this.kind.figure === "accuracy" ? percentText(test) : figureText(test);
      return `${run.name}: ${last}${test === null ? "" : `, test ${tested}`}`;
    });
    return `${this.kind.title} over steps ${formatCount(from)} to ${formatCount(to)}. At the end, ${told.join("; ")}.`;
  }
}

function isPower(value: number): boolean {
  return value === 0 || Number.isInteger(Number(Math.log10(value).toFixed(6)));
}

function seriesOf(run: number): uPlot.Series[] {
  const stroke = () => colour(`run-${run}`);
  const edge: uPlot.Series = { points: { show: false }, auto: false, width: 0 };
  return [
    { stroke, width: 1.5, points: { show: false } },
    edge,
    edge,
    { stroke, width: 0, points: { show: true, size: 7, stroke: () => colour("card"), fill: stroke, width: 1 } },
  ];
}

/** A view as uPlot takes it: the steps, and each run's mean, least, most and tests. */
function dataOf({ steps, size, runs }: CurvesView, { figure, tested }: ChartKind): uPlot.AlignedData {
  const first = (steps[0] ?? 0) - Math.floor(size / 2);
  const series = runs.flatMap(({ curves, tests }) => {
    const { mean, least, most } = curves[figure];
    const points = new Array<number | null>(steps.length).fill(null);
    const place = figure === "loss" ? "loss" : "accuracy";
    if (tested) for (const test of tests) points[Math.floor((test.step - first) / size)] = test[place];
    return [mean, least, most, points].map((values) => [...values]);
  });
  return [[...steps], ...series];
}

function lastOf(values: ArrayLike<number | null | undefined>): number | null {
  for (let i = values.length - 1; i >= 0; i--) {
    const { [i]: value } = values;
    if (value !== null && value !== undefined) return value;
  }
  return null;
}
