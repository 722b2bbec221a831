import { asTypedArray, type TensorEntry } from "@peekaboo/files/safetensors";
import type { Config } from "../config/config.js";

/** What latent scores go by. */
export type ScoreConfig = Config<"hiddenAct" | "hiddenDensity">;

/**
 * Which weights of a layer its latent scores keep, 1 for each, as the layer itself computes it (docs/algorithm.md §6); null in a
 * layer without scores.
 */
export function activeScores(
  { hiddenAct, hiddenDensity }: ScoreConfig,
  state: ReadonlyMap<string, TensorEntry>,
  weight: string,
): Uint8Array | null {
  const own = (name: string) => numbers(state.get(weight.replace(/weight$/, name)));
  const t = own("t");
  if (t === null) return null;
  const [lo = 0] = own("lo") ?? [];
  const [hi = 0] = own("hi") ?? [];
  switch (hiddenAct) {
    case "pruning":
      return Uint8Array.from(t, (value) => Number(value > 0));
    case "ternary":
      return Uint8Array.from(t, (value) => Number(value > hi || value < lo));
    case "edge-popup":
      return largest(t, hiddenDensity ?? 1);
    default:
      return Uint8Array.from(t, (value) => Number(value !== 0));
  }
}

function numbers(entry: TensorEntry | undefined): Float64Array | null {
  return entry === undefined ? null : Float64Array.from(asTypedArray(entry), Number);
}

function largest(t: Float64Array, density: number): Uint8Array {
  const sizes = t.map(Math.abs);
  const cut = Math.floor((1 - density) * sizes.length);
  const threshold = cut < 1 ? Number.NEGATIVE_INFINITY : (sizes.toSorted()[cut - 1] ?? 0);
  return Uint8Array.from(sizes, (size) => Number(size > threshold));
}
