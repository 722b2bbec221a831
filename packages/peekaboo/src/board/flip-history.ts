import type { FlipsMetrics } from "../runs/metrics.js";
import type { LayersView } from "./protocol.js";

/** As many as fit beside each other on a screen. */
const MOST_COLUMNS = 256;

interface Column {
  readonly first: number;
  readonly last: number;
  readonly flips: ReadonlyMap<string, number>;
}

/** What each layer flipped, epoch by epoch; as these grow many, neighbours are added up. */
export class FlipHistory {
  #columns: Column[] = [];
  /** What each layer keeps, in the network's order. */
  readonly #kept = new Map<string, number>();

  add({ epoch, layers }: FlipsMetrics): void {
    for (const { name, kept } of layers) this.#kept.set(name, kept);
    const flips = new Map(layers.map(({ name, flips: own }) => [name, own]));
    this.#columns.push({ first: epoch, last: epoch, flips });
    if (this.#columns.length > MOST_COLUMNS) this.#columns = pairs(this.#columns);
  }

  view(): LayersView["flips"] {
    return {
      epochs: this.#columns.map(({ first, last }) => ({ first, last })),
      layers: [...this.#kept].map(([name, kept]) => ({
        name,
        kept,
        flips: this.#columns.map(({ flips }) => flips.get(name) ?? 0),
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

function joined(one: Column, other: Column): Column {
  const names = new Set([...one.flips.keys(), ...other.flips.keys()]);
  const flips = [...names].map((name) => [name, (one.flips.get(name) ?? 0) + (other.flips.get(name) ?? 0)] as const);
  return { first: one.first, last: other.last, flips: new Map(flips) };
}
