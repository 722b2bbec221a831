import type { Norm, Region } from "../plan/sweep.js";

/** Normalises each group of channels. */
export function normalise(memory: ArrayBuffer, { groups, eps, scale, shift, from, to }: Norm): () => void {
  const floats = new Float32Array(memory);
  const together = from.channels / groups;
  const count = together * from.height * from.width;
  return () => {
    for (let first = 0; first < from.channels; first += together) {
      const end = first + together;
      const mean = sumOf(floats, from, first, end) / count;
      const deviation = Math.sqrt(squaresOf(floats, from, first, end, mean) / count + eps);
      for (let channel = first; channel < end; channel++) {
        const factor = (scale[channel] ?? 0) / deviation;
        line(floats, from, to, channel, factor, (shift?.[channel] ?? 0) - mean * factor);
      }
    }
  };
}

function sumOf(floats: Float32Array, from: Region, first: number, end: number): number {
  let sum = 0;
  for (let channel = first; channel < end; channel++) {
    for (let y = 0; y < from.height; y++) {
      const source = (from.base + channel * from.plane + y * from.row) >> 2;
      for (let x = 0; x < from.width; x++) sum += floats[source + x] ?? 0;
    }
  }
  return sum;
}

function squaresOf(floats: Float32Array, from: Region, first: number, end: number, mean: number): number {
  let sum = 0;
  for (let channel = first; channel < end; channel++) {
    for (let y = 0; y < from.height; y++) {
      const source = (from.base + channel * from.plane + y * from.row) >> 2;
      for (let x = 0; x < from.width; x++) sum += ((floats[source + x] ?? 0) - mean) ** 2;
    }
  }
  return sum;
}

/** factor · x + summand for all of a channel. */
function line(floats: Float32Array, from: Region, to: Region, channel: number, factor: number, summand: number): void {
  for (let y = 0; y < from.height; y++) {
    const source = (from.base + channel * from.plane + y * from.row) >> 2;
    const target = (to.base + channel * to.plane + y * to.row) >> 2;
    for (let x = 0; x < from.width; x++) floats[target + x] = factor * (floats[source + x] ?? 0) + summand;
  }
}
