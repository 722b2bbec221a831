import type { CurvesView } from "../board/protocol.js";
import { formatCount } from "../console/format.js";
import { CHARTS, Chart, type StepRange } from "./chart.js";
import { byId, setText } from "./dom.js";
import { savePicture } from "./picture.js";
import type { Runs } from "./runs.js";

/** How often curves that grow are drawn anew. */
const REFRESH_MS = 700;
/** About one a pixel of a chart. */
const [FEWEST_POINTS, MOST_POINTS] = [200, 1000];
/** Steps that are shown at least. */
const CLOSEST = 10;

/** The curves of the runs shown, and what moves and saves them. */
export class CurvesPanel {
  readonly #runs: Runs;
  readonly #charts: readonly Chart[];
  readonly #room = byId("charts", HTMLElement);
  /** The steps asked for; null for all. */
  #range: StepRange | null = null;
  #drawn: StepRange = { from: 0, to: 1 };
  #asked = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(runs: Runs) {
    this.#runs = runs;
    this.#charts = CHARTS.map((kind) => new Chart(kind, (range) => this.#move(range)));
    this.#room.append(...this.#charts.map(({ element }) => element));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      for (const chart of this.#charts) chart.redraw();
    });
    this.#listen();
  }

  /** Shows what there is now, soon. */
  refresh(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.show();
    }, REFRESH_MS);
  }

  /** Asks for the curves and draws them; what was asked before, and isn't answered yet, counts no more. */
  async show(): Promise<void> {
    const asked = ++this.#asked;
    const { shown } = this.#runs;
    byId("curves", HTMLElement).dataset.shown = String(shown.length);
    const view = shown.length === 0 ? null : await this.#fetch(shown.map(({ id }) => id));
    if (asked !== this.#asked) return;
    this.#room.hidden = shown.length === 0;
    if (view !== null) this.#draw(view);
    else if (shown.length === 0) setText(byId("range", HTMLElement), "Tick a run in the table to see its curves.");
  }

  async #fetch(ids: readonly number[]): Promise<CurvesView | null> {
    const widest = Math.max(...this.#charts.map(({ width }) => width));
    const points = Math.min(MOST_POINTS, Math.max(FEWEST_POINTS, widest));
    const query = new URLSearchParams({ runs: ids.join(), points: String(points) });
    if (this.#range !== null) for (const [name, step] of Object.entries(this.#range)) query.set(name, String(step));
    try {
      const response = await fetch(`curves?${query}`);
      return response.ok ? ((await response.json()) as CurvesView) : null;
    } catch {
      // The server is gone: what is drawn stays until it is back.
      return null;
    }
  }

  #draw(view: CurvesView): void {
    const byNumber = new Map(this.#runs.all.map((run) => [run.id, run]));
    const runs = view.runs.map(({ id }) => byNumber.get(id)).filter((run) => run !== undefined);
    if (runs.length !== view.runs.length) return;
    const last = Math.max(1, ...runs.map(({ step }) => step));
    this.#drawn = this.#range === null ? { from: 0, to: last } : this.#range;
    for (const chart of this.#charts) chart.draw(view, runs, this.#drawn);
    const { from, to } = this.#drawn;
    const size = view.size === 1 ? "each step" : `${formatCount(view.size)} steps a point`;
    setText(byId("range", HTMLElement), `Steps ${formatCount(from)} to ${formatCount(to)}, ${size}`);
  }

  #move(range: StepRange | null): void {
    this.#range = range;
    void this.show();
  }

  /** Shows a part of what is drawn, or beside it: its middle moved by a share of its width, and the width changed. */
  #shift(by: number, scale: number): void {
    const { from, to } = this.#drawn;
    const last = Math.max(1, ...this.#runs.shown.map(({ step }) => step));
    const width = Math.max(CLOSEST, (to - from) * scale);
    const middle = (from + to) / 2 + by * (to - from);
    const begin = Math.round(Math.min(Math.max(0, middle - width / 2), last - width));
    this.#move(width >= last ? null : { from: begin, to: Math.round(begin + width) });
  }

  #listen(): void {
    const on = (id: string, action: () => void) => byId(id, HTMLButtonElement).addEventListener("click", action);
    on("whole", () => this.#move(null));
    on("zoom-in", () => this.#shift(0, 0.5));
    on("zoom-out", () => this.#shift(0, 2));
    on("earlier", () => this.#shift(-0.5, 1));
    on("later", () => this.#shift(0.5, 1));
    on("save-svg", () => void savePicture(this.#charts, this.#runs.shown, "svg"));
    on("save-png", () => void savePicture(this.#charts, this.#runs.shown, "png"));
  }
}
