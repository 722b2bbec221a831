import type { WindowLayer } from "./layer.js";

/** Stands for a position of the kernel that meets nothing but padding. */
export const NOWHERE = -(2 ** 31);

/** Bytes of a channel's head (the bytes of its terms, and its shift) and of a term (an offset, and a weight). */
export const ENTRY = 8;

/** What a list is written from: `offsets` [depth × kernel] are in bytes from an output's place, channels `plane` bytes apart. */
export interface ListSource {
  readonly layer: WindowLayer;
  readonly offsets: Int32Array;
  readonly plane: number;
  /** The number of terms of each channel is a multiple of it. */
  readonly unroll: number;
}

/** The bytes that {@link writeList} takes. */
export function listBytes({ layer, offsets, unroll }: ListSource): number {
  const { weight, shift } = layer;
  const length = offsets.length;
  let entries = shift.length;
  for (let channel = 0; channel < shift.length; channel++) {
    let terms = 0;
    for (let k = 0; k < length; k++) if (weight[channel * length + k] !== 0 && offsets[k] !== NOWHERE) terms++;
    entries += Math.ceil(terms / unroll) * unroll;
  }
  return entries * ENTRY;
}

/**
 * Writes, for each output channel, its head and its terms other than 0, one after the other from `start` (in bytes).
 * Terms are offsets of inputs and what they are multiplied with; those that fill up the last group repeat an offset, times 0.
 */
export function writeList({ layer, offsets, plane, unroll }: ListSource, memory: ArrayBuffer, start: number): void {
  const { weight, scale, shift, firstChannel } = layer;
  const [floats, ints] = [new Float32Array(memory), new Int32Array(memory)];
  const length = offsets.length;
  let at = start / 4;
  for (let channel = 0; channel < shift.length; channel++) {
    const head = at;
    const base = firstChannel(channel) * plane;
    const factor = scale[channel] ?? 0;
    at += 2;
    for (let k = 0; k < length; k++) {
      const value = weight[channel * length + k] ?? 0;
      const offset = offsets[k] ?? NOWHERE;
      if (value === 0 || offset === NOWHERE) continue;
      ints[at] = base + offset;
      floats[at + 1] = value * factor;
      at += 2;
    }
    const last = ints[at - 2] ?? 0;
    for (; (at - head - 2) % (2 * unroll) !== 0; at += 2) ints[at] = last;
    ints[head] = (at - head - 2) * 4;
    floats[head + 1] = shift[channel] ?? 0;
  }
}
