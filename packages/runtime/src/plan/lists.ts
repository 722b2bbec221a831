import type { WindowLayer } from "./layer.js";

/** Stands for a position of the kernel that meets nothing but padding. */
export const NOWHERE = -(2 ** 31);

/** Bytes of a head (the bytes of its terms, and the shift of each channel) and of a term (an offset, and a weight for each channel). */
export function entryBytes(together: number): number {
  return 4 * (1 + together);
}

/** What a list is written from: `offsets` [depth × kernel] are in bytes from an output's place, channels `plane` bytes apart. */
export interface ListSource extends Heads {
  readonly layer: WindowLayer;
  readonly offsets: Int32Array;
  readonly plane: number;
  /** The number of terms of each head is a multiple of it. */
  readonly unroll: number;
}

/** How a layer's output channels share lists. */
export interface Heads {
  /** So many output channels share a head: its terms are those that any of them has. */
  readonly together: number;
  /** The terms of each head. */
  readonly terms: Int32Array;
}

/** Two channels cost less together than apart if their terms are so many fewer: they share what they read. Measured (bench/runtime.ts). */
const WORTH_SHARING = 0.8;

/** Counts the terms of each output channel, or of two together where that is better. */
export function headsOf({ kind, weight, shift, firstChannel }: WindowLayer, offsets: Int32Array): Heads {
  const channels = shift.length;
  const length = offsets.length;
  const terms = new Int32Array(channels);
  const pairs = new Int32Array(channels >> 1);
  let mayPair = kind === "sum" && channels % 2 === 0 && length > 1;
  for (let channel = 1; mayPair && channel < channels; channel += 2)
    mayPair = firstChannel(channel - 1) === firstChannel(channel);
  let shared = 0;
  let apart = 0;
  for (let channel = 0; channel < channels; channel += 2) {
    const here = channel * length;
    const next = channel + 1 < channels ? here + length : -1;
    let [one, other, either] = [0, 0, 0];
    for (let k = 0; k < length; k++) {
      if (offsets[k] === NOWHERE) continue;
      const a = weight[here + k] === 0 ? 0 : 1;
      const b = next < 0 || weight[next + k] === 0 ? 0 : 1;
      one += a;
      other += b;
      either += a | b;
    }
    terms[channel] = one;
    if (next >= 0) terms[channel + 1] = other;
    if (next >= 0) pairs[channel >> 1] = either;
    apart += one + other;
    shared += either;
  }
  return mayPair && shared <= WORTH_SHARING * apart ? { together: 2, terms: pairs } : { together: 1, terms };
}

/** The bytes that {@link writeList} takes. */
export function listBytes({ terms, unroll, together }: ListSource): number {
  let entries = 0;
  for (let head = 0; head < terms.length; head++) entries += 1 + Math.ceil((terms[head] ?? 0) / unroll) * unroll;
  return entries * entryBytes(together);
}

/**
 * Writes, for each head's output channels, the head and the terms other than 0, one after the other from `start` (in bytes).
 * Terms are offsets of inputs and what they are multiplied with; those that fill up the last group repeat an offset, times 0.
 */
export function writeList(source: ListSource, memory: ArrayBuffer, start: number): void {
  const { layer, offsets, plane, unroll, together } = source;
  const { weight, scale, shift, firstChannel } = layer;
  const [floats, ints] = [new Float32Array(memory), new Int32Array(memory)];
  const length = offsets.length;
  const entry = 1 + together;
  let at = start / 4;
  for (let channel = 0; channel < shift.length; channel += together) {
    const head = at;
    const base = firstChannel(channel) * plane;
    at += entry;
    for (let k = 0; k < length; k++) {
      const offset = offsets[k] ?? NOWHERE;
      const first = weight[channel * length + k] ?? 0;
      const second = together === 2 ? (weight[(channel + 1) * length + k] ?? 0) : 0;
      if (offset === NOWHERE || (first === 0 && second === 0)) continue;
      ints[at] = base + offset;
      floats[at + 1] = first * (scale[channel] ?? 0);
      if (together === 2) floats[at + 2] = second * (scale[channel + 1] ?? 0);
      at += entry;
    }
    const last = ints[at - entry] ?? 0;
    for (; (at - head - entry) % (entry * unroll) !== 0; at += entry) ints[at] = last;
    ints[head] = (at - head - entry) * 4;
    for (let g = 0; g < together; g++) floats[head + 1 + g] = shift[channel + g] ?? 0;
  }
}
