import type { LayersView } from "../board/protocol.js";
import { formatCount, formatPercent } from "../console/format.js";
import { byId, colour, el, setText } from "./dom.js";
import type { Runs } from "./runs.js";

const REFRESH_MS = 2000;
/** Shots of pruning told in a cell. */
const MOST_SHOTS = 4;
/** The share of a layer's weights that flip in an epoch from which on a strip's colour is full, and below which it is blank. */
const [MOST, LEAST] = [1, 1e-5];

type FlippedLayer = LayersView["flips"]["layers"][number];

/** What each layer of one of the runs keeps, and how undecided its signs are. */
export class LayersPanel {
  readonly #runs: Runs;
  readonly #choice = byId("layers-run", HTMLSelectElement);
  #timer: ReturnType<typeof setTimeout> | undefined;
  #last: LayersView | null = null;

  constructor(runs: Runs) {
    this.#runs = runs;
    this.#choice.addEventListener("change", () => void this.show());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
  }

  refresh(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.show();
    }, REFRESH_MS);
  }

  async show(): Promise<void> {
    const names = this.#runs.shown.map(({ name }) => name);
    if (names.join("\n") !== [...this.#choice.options].map(({ value }) => value).join("\n")) {
      const { value } = this.#choice;
      this.#choice.replaceChildren(...names.map((name) => el("option", { value: name }, name)));
      if (names.includes(value)) this.#choice.value = value;
    }
    const run = this.#runs.shown.find(({ name }) => name === this.#choice.value);
    this.#last = run === undefined ? null : await layersOf(run.id);
    this.#draw();
  }

  #draw(): void {
    const { prunings = [], flips = { epochs: [], layers: [] } } = this.#last ?? {};
    const flipped = new Map(flips.layers.map((layer) => [layer.name, layer]));
    const names = [...new Set([...(prunings.at(-1)?.layers ?? []).map(({ name }) => name), ...flipped.keys()])];
    const rows = names.map((name) => rowOf(name, prunings, flipped.get(name)));
    const titles = ["Layer", "Weights", "Kept", "", "Flips, last epoch", "of those kept", "Flips, epoch by epoch"];
    const head = titles.map((title, i) =>
      title === "" ? el("td") : el("th", { scope: "col", ...(NUMERIC.has(i) ? { class: "number" } : {}) }, title),
    );
    const table = names.length === 0 ? [] : [el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...rows)];
    byId("layers", HTMLTableElement).replaceChildren(...table);
    setText(byId("layers-note", HTMLElement), noteOf(names.length, flips.epochs.at(-1)?.last));
  }
}

const NUMERIC: ReadonlySet<number> = new Set([1, 2, 4, 5]);

async function layersOf(id: number): Promise<LayersView | null> {
  try {
    const response = await fetch(`runs/${id}/layers`);
    return response.ok ? ((await response.json()) as LayersView) : null;
  } catch {
    return null;
  }
}

function rowOf(name: string, prunings: LayersView["prunings"], flipped: FlippedLayer | undefined): HTMLElement {
  const shots = prunings.flatMap(({ layers }) => layers.find((layer) => layer.name === name) ?? []);
  const last = shots.at(-1);
  const told = shots.slice(-MOST_SHOTS).map(({ kept, total }) => formatPercent(kept / total));
  const share = last === undefined || last.total === 0 ? 0 : last.kept / last.total;
  const now = flipped?.flips.at(-1);
  const kept = flipped?.kept ?? 0;
  const cell = (text: string) => el("td", { class: "number" }, text);
  return el(
    "tr",
    {},
    el("th", { scope: "row" }, name),
    cell(formatCount(last?.total ?? kept)),
    cell(told.length === 0 ? "–" : `${told.join(" → ")} %`),
    el("td", { class: "meter-cell", "aria-hidden": "true" }, ...(last === undefined ? [] : [meterOf(share)])),
    cell(now === undefined ? "–" : formatCount(now)),
    cell(now === undefined || kept === 0 ? "–" : `${formatPercent(now / kept)} %`),
    el("td", { class: "strip-cell" }, ...(flipped === undefined ? [] : [stripOf(flipped)])),
  );
}

function meterOf(share: number): HTMLElement {
  const bar = el("span");
  bar.style.width = `${100 * share}%`;
  return el("span", { class: "meter" }, bar);
}

/** A layer's flips as a strip, an epoch a column, the stronger the more, on a logarithmic scale. */
function stripOf({ flips, kept }: FlippedLayer): HTMLElement {
  const strip = el("canvas", { width: Math.max(1, flips.length), height: 1, class: "strip", "aria-hidden": "true" });
  const context = strip.getContext("2d");
  if (context === null) return strip;
  context.fillStyle = colour("accent");
  for (const [i, count] of flips.entries()) {
    const share = count / Math.max(1, kept);
    context.globalAlpha = Math.min(1, Math.max(0, Math.log(Math.max(share, LEAST) / LEAST) / Math.log(MOST / LEAST)));
    context.fillRect(i, 0, 1, 1);
  }
  return strip;
}

function noteOf(layers: number, epoch: number | undefined): string {
  if (layers === 0) return "Nothing is recorded of this run's layers yet.";
  if (epoch === undefined) return "No epoch with sign flips has ended yet.";
  return `After epoch ${epoch + 1}. The stronger an epoch's colour in the strip, the more of the layer's signs flipped in it: where it doesn't fade, the layer is still undecided.`;
}
