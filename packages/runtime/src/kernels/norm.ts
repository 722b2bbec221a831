import type { Norm } from "../plan/sweep.js";
import { rowsOf } from "./rows.js";

/** Normalises each group of channels. */
export function normalise(memory: ArrayBuffer, { groups, eps, scale, shift, from, to }: Norm): () => void {
  const floats = new Float32Array(memory);
  const [sources, targets] = [rowsOf(from), rowsOf(to)];
  const { height, width } = from;
  const rows = sources.length / groups;
  return () => {
    for (let first = 0; first < sources.length; first += rows) {
      // Distances from one of the numbers: equal numbers then have a variance of 0, however large they are.
      const origin = floats[sources[first] ?? 0] ?? 0;
      let sum = 0;
      let squares = 0;
      for (let r = first; r < first + rows; r++) {
        const source = sources[r] ?? 0;
        for (let x = source; x < source + width; x++) {
          const distance = (floats[x] ?? 0) - origin;
          sum += distance;
          squares += distance * distance;
        }
      }
      const mean = sum / (rows * width);
      const variance = Math.max(0, squares / (rows * width) - mean * mean);
      for (let r = first; r < first + rows; r++) {
        const channel = Math.floor(r / height);
        const factor = (scale[channel] ?? 0) / Math.sqrt(variance + eps);
        const summand = (shift?.[channel] ?? 0) - (origin + mean) * factor;
        const [source, target] = [sources[r] ?? 0, targets[r] ?? 0];
        for (let x = 0; x < width; x++) floats[target + x] = factor * (floats[source + x] ?? 0) + summand;
      }
    }
  };
}
