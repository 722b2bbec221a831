import type { WindowLayer } from "./layer.js";

/** Stands for a position of the kernel that meets nothing but padding. */
export const NOWHERE = -(2 ** 31);

/** Bytes of a head (the bytes of its terms, and the shift of each channel) and of a term (an offset, and a weight for each channel). */
export function entryBytes(together: number): number {
  return 4 * (1 + together);
}

/** What a list is written from: `offsets` [depth × kernel] are in bytes from an output's place, channels `plane` bytes apart. */
export interface ListSource {
  readonly layer: WindowLayer;
  readonly offsets: Int32Array;
  readonly plane: number;
  /** The number of terms of each head is a multiple of it. */
  readonly unroll: number;
  /** So many output channels share a head: its terms are those that any of them has. */
  readonly together: number;
}

/** Two channels cost less together than apart if their terms are so many fewer: they share what they read. Measured (bench/runtime.ts). */
const WORTH_SHARING = 0.8;

/** How many output channels had better go through one list of terms. */
export function togetherOf({ kind, weight, shift, firstChannel }: WindowLayer, offsets: Int32Array): number {
  const channels = shift.length;
  if (kind !== "sum" || channels % 2 !== 0 || offsets.length === 1) return 1;
  const length = offsets.length;
  let [apart, shared] = [0, 0];
  for (let channel = 0; channel < channels; channel += 2) {
    if (firstChannel(channel) !== firstChannel(channel + 1)) return 1;
    for (let k = 0; k < length; k++) {
      if (offsets[k] === NOWHERE) continue;
      const one = weight[channel * length + k] === 0 ? 0 : 1;
      const other = weight[(channel + 1) * length + k] === 0 ? 0 : 1;
      apart += one + other;
      shared += one | other;
    }
  }
  return shared <= WORTH_SHARING * apart ? 2 : 1;
}

/** The bytes that {@link writeList} takes. */
export function listBytes(source: ListSource): number {
  const { layer, offsets, unroll, together } = source;
  const length = offsets.length;
  let entries = 0;
  for (let channel = 0; channel < layer.shift.length; channel += together) {
    let terms = 0;
    for (let k = 0; k < length; k++) if (isTerm(source, channel, k)) terms++;
    entries += 1 + Math.ceil(terms / unroll) * unroll;
  }
  return entries * entryBytes(together);
}

/** Whether a channel, or one of those that it shares a head with, has a weight other than 0 there. */
function isTerm({ layer: { weight }, offsets, together }: ListSource, channel: number, k: number): boolean {
  if (offsets[k] === NOWHERE) return false;
  for (let g = 0; g < together; g++) if (weight[(channel + g) * offsets.length + k] !== 0) return true;
  return false;
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
      if (!isTerm(source, channel, k)) continue;
      ints[at] = base + (offsets[k] ?? 0);
      for (let g = 0; g < together; g++)
        floats[at + 1 + g] = (weight[(channel + g) * length + k] ?? 0) * (scale[channel + g] ?? 0);
      at += entry;
    }
    const last = ints[at - entry] ?? 0;
    for (; (at - head - entry) % (entry * unroll) !== 0; at += entry) ints[at] = last;
    ints[head] = (at - head - entry) * 4;
    for (let g = 0; g < together; g++) floats[head + 1 + g] = shift[channel + g] ?? 0;
  }
}
