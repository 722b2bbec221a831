import type { Copy, Region, Reshape, Sweep, View } from "../plan/sweep.js";

/** Runs one step on the memory that it was made for. */
export type Run = () => void;

/** A sweep in plain TypeScript, for engines without SIMD. */
export function scalarSweep(memory: ArrayBuffer, sweep: Sweep): Run {
  const [floats, ints] = [new Float32Array(memory), new Int32Array(memory)];
  const { kind, relu, height, width, input, output, residual, list, listEnd } = sweep;
  const reduce = kind === "sum" ? addTerm : takeLarger;
  const sums = new Float64Array(width);
  const row = (head: number, channel: number, y: number) => {
    const at = (view: View) => (view.base + channel * view.plane + y * view.row) >> 2;
    const shift = floats[head + 1] ?? 0;
    if (residual === undefined) sums.fill(shift);
    else for (let x = 0, r = at(residual); x < width; x++) sums[x] = shift + (floats[r + x] ?? 0);
    const from = (input.base + y * input.row) >> 2;
    const end = head + 2 + ((ints[head] ?? 0) >> 2);
    for (let term = head + 2; term < end; term += 2) {
      reduce(sums, floats, from + ((ints[term] ?? 0) >> 2), floats[term + 1] ?? 0);
    }
    for (let x = 0, to = at(output); x < width; x++) {
      const sum = sums[x] ?? 0;
      floats[to + x] = relu && sum < 0 ? 0 : sum;
    }
  };
  return () => {
    for (let head = list >> 2, channel = 0; head < listEnd >> 2; channel++) {
      for (let y = 0; y < height; y++) row(head, channel, y);
      head += 2 + ((ints[head] ?? 0) >> 2);
    }
  };
}

function addTerm(sums: Float64Array, from: Float32Array, at: number, weight: number): void {
  for (let x = 0; x < sums.length; x++) sums[x] = (sums[x] ?? 0) + weight * (from[at + x] ?? 0);
}

function takeLarger(most: Float64Array, from: Float32Array, at: number): void {
  for (let x = 0; x < most.length; x++) {
    const value = from[at + x] ?? 0;
    if ((most[x] ?? 0) < value) most[x] = value;
  }
}

/** Copies every so many pixels. */
export function scalarCopy(memory: ArrayBuffer, { channels, height, width, from, step, to }: Copy): Run {
  const floats = new Float32Array(memory);
  const stride = step >> 2;
  return () => {
    for (let channel = 0; channel < channels; channel++) {
      for (let y = 0; y < height; y++) {
        const source = (from.base + channel * from.plane + y * from.row) >> 2;
        const target = (to.base + channel * to.plane + y * to.row) >> 2;
        for (let x = 0; x < width; x++) floats[target + x] = floats[source + x * stride] ?? 0;
      }
    }
  };
}

/** Copies all numbers in order, through a buffer of its own. */
export function scalarReshape(memory: ArrayBuffer, { from, to }: Reshape): Run {
  const floats = new Float32Array(memory);
  const numbers = new Float32Array(from.channels * from.height * from.width);
  return () => {
    unpack(floats, from, numbers, 0);
    pack(numbers, 0, floats, to);
  };
}

/** Writes a value's numbers, from `numbers[start]` on, to where it lies. */
export function pack(numbers: Float32Array, start: number, floats: Float32Array, to: Region) {
  for (let channel = 0, next = start; channel < to.channels; channel++) {
    for (let y = 0; y < to.height; y++) {
      const target = (to.base + channel * to.plane + y * to.row) >> 2;
      for (let x = 0; x < to.width; x++) floats[target + x] = numbers[next++] ?? 0;
    }
  }
}

/** Reads a value's numbers from where it lies into `numbers[start]` and what follows. */
export function unpack(floats: Float32Array, from: Region, numbers: Float32Array, start: number) {
  for (let channel = 0, next = start; channel < from.channels; channel++) {
    for (let y = 0; y < from.height; y++) {
      const source = (from.base + channel * from.plane + y * from.row) >> 2;
      for (let x = 0; x < from.width; x++) numbers[next++] = floats[source + x] ?? 0;
    }
  }
}
