import type { FlipsMetrics } from "../runs/metrics.js";
import type { LayersView } from "./protocol.js";

/** As many as fit beside each other on a screen. */
const MOST_COLUMNS = 256;

interface Column {
  readonly first: number;
  readonly last: number;
  /** By layer, in the order of their names. */
  readonly flips: Float64Array;
}

/** What each layer flipped, epoch by epoch; as these grow many, neighbours are added up. */
export class FlipHistory {
  #columns: Column[] = [];
  /** What each layer keeps, in the network's order. */
  readonly #kept = new Map<string, number>();

  add({ epoch, layers }: FlipsMetrics): void {
    for (const { name, kept } of layers) this.#kept.set(name, kept);
    const own = new Map(layers.map(({ name, flips }) => [name, flips]));
    const flips = Float64Array.from(this.#kept.keys(), (name) => own.get(name) ?? 0);
    this.#columns.push({ first: epoch, last: epoch, flips });
    if (this.#columns.length > MOST_COLUMNS) this.#columns = pairs(this.#columns);
  }

  view(): LayersView["flips"] {
    return {
      epochs: this.#columns.map(({ first, last }) => ({ first, last })),
      layers: [...this.#kept].map(([name, kept], layer) => ({
        name,
        kept,
        flips: this.#columns.map(({ flips }) => flips[layer] ?? 0),
      })),
    };
  }
}

function pairs(columns: readonly Column[]): Column[] {
  return columns.flatMap((column, i) => {
    const next = columns[i + 1];
    if (i % 2 === 1) return [];
    return next === undefined ? [column] : [joined(column, next)];
  });
}

/** Layers that only the later one knows are its last. */
function joined(one: Column, other: Column): Column {
  return { first: one.first, last: other.last, flips: other.flips.map((flips, i) => flips + (one.flips[i] ?? 0)) };
}
