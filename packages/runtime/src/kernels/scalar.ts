import { LANES } from "../plan/geometry.js";
import type { Copy, Region, Reshape, Step, Sweep, View } from "../plan/sweep.js";
import { bend } from "./curves.js";
import { normalise } from "./norm.js";

/** Runs one step on the memory that it was made for. */
export type Run = () => void;

/** A step in plain TypeScript. */
export function scalarRun(memory: ArrayBuffer, step: Step): Run {
  switch (step.kind) {
    case "copy":
      return scalarCopy(memory, step);
    case "reshape":
      return scalarReshape(memory, step);
    case "curve":
      return bend(memory, step);
    case "norm":
      return normalise(memory, step);
    default:
      return scalarSweep(memory, step);
  }
}

/** For engines without SIMD: four pixels of a row at a time. */
function scalarSweep(memory: ArrayBuffer, sweep: Sweep): Run {
  const [floats, ints] = [new Float32Array(memory), new Int32Array(memory)];
  const { kind, relu, height, width, input, output, residual, list, listEnd, together } = sweep;
  const reduce = kind === "sum" ? addTerms : takeLargest;
  const sums = new Float64Array(LANES);
  const group = (head: number, channel: number, y: number, x: number) => {
    const at = (view: View) => ((view.base + channel * view.plane + y * view.row) >> 2) + x;
    const [to, added] = [at(output), residual === undefined ? undefined : at(residual)];
    const own = channel % together;
    sums.fill(floats[head + 1 + own] ?? 0);
    for (let lane = 0; added !== undefined && lane < LANES; lane++)
      sums[lane] = (sums[lane] ?? 0) + (floats[added + lane] ?? 0);
    reduce(sums, { floats, ints, head, together, own }, ((input.base + y * input.row) >> 2) + x);
    for (let lane = 0; lane < Math.min(LANES, width - x); lane++) {
      const sum = sums[lane] ?? 0;
      floats[to + lane] = relu && sum < 0 ? 0 : sum;
    }
  };
  return () => {
    for (let head = list >> 2, channel = 0; head < listEnd >> 2; ) {
      for (const end = channel + together; channel < end; channel++)
        for (let y = 0; y < height; y++) for (let x = 0; x < width; x += LANES) group(head, channel, y, x);
      head += 1 + together + ((ints[head] ?? 0) >> 2);
    }
  };
}

/** A head's terms, of which one channel's are taken. */
interface Terms {
  readonly floats: Float32Array;
  readonly ints: Int32Array;
  readonly head: number;
  readonly together: number;
  readonly own: number;
}

function addTerms(sums: Float64Array, { floats, ints, head, together, own }: Terms, from: number): void {
  let a = sums[0] ?? 0;
  let b = sums[1] ?? 0;
  let c = sums[2] ?? 0;
  let d = sums[3] ?? 0;
  const entry = 1 + together;
  const end = head + entry + ((ints[head] ?? 0) >> 2);
  for (let term = head + entry; term < end; term += entry) {
    const at = from + ((ints[term] ?? 0) >> 2);
    const weight = floats[term + 1 + own] ?? 0;
    a += weight * (floats[at] ?? 0);
    b += weight * (floats[at + 1] ?? 0);
    c += weight * (floats[at + 2] ?? 0);
    d += weight * (floats[at + 3] ?? 0);
  }
  sums[0] = a;
  sums[1] = b;
  sums[2] = c;
  sums[3] = d;
}

function takeLargest(most: Float64Array, { floats, ints, head }: Terms, from: number): void {
  const end = head + 2 + ((ints[head] ?? 0) >> 2);
  for (let term = head + 2; term < end; term += 2) {
    const at = from + ((ints[term] ?? 0) >> 2);
    for (let lane = 0; lane < LANES; lane++) {
      const value = floats[at + lane] ?? 0;
      if ((most[lane] ?? 0) < value) most[lane] = value;
    }
  }
}

/** Copies every so many pixels. */
function scalarCopy(memory: ArrayBuffer, { channels, height, width, from, step, to }: Copy): Run {
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
function scalarReshape(memory: ArrayBuffer, { from, to }: Reshape): Run {
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
