import { assertInteger } from "./check.js";
import { naturalLog } from "./log.js";
import { KERNEL_CHUNK, type NormalKernel, normalKernel } from "./normal-kernel.js";
import type { RandomStream } from "./stream.js";

// Powers of two as literals: what ** gives is, in principle, each engine's own.
const TWO_26 = 0x400_0000;
const TWO_31 = 0x8000_0000;
const TWO_32 = 0x1_0000_0000;
const TWO_52 = 0x10_0000_0000_0000;

/** A distribution by its quantile: maps probabilities in the open interval (0, 1), in place, to the values below which it lies with them. */
export type Quantile = (probabilities: Float64Array) => void;

/**
 * A number in the open interval (0, 1), an odd multiple of 2^-53, from two random words.
 * It is symmetric about ½, which it never equals: 1 - p is exact, and the quantile of a symmetric distribution never 0.
 */
export function openUniform01(high: number, low: number): number {
  return ((high >>> 6) * TWO_26 + (low >>> 6) + 0.5) / TWO_52;
}

/** How many values are drawn at a time. */
const CHUNK = 1024;

/**
 * Fills `out` with `scale`·`quantile`(p), p uniform on (0, 1): value i comes from the stream's words 2i and 2i + 1 and is
 * computed in double, then rounded to `out`'s type. Streams of one seed and name give every distribution the same p, so
 * the same signs. Source: inversion (Devroye, "Non-Uniform Random Variate Generation", 1986, §II.2).
 */
export function fillByInversion(
  out: Float32Array | Float64Array,
  stream: RandomStream,
  quantile: Quantile,
  scale = 1,
): void {
  if (quantile === normalQuantile && out instanceof Float32Array && out.length <= MOST) {
    const kernel = kernelOf();
    if (kernel !== undefined) {
      fillByKernel(out, stream, kernel, scale);
      return;
    }
  }
  const values = new Float64Array(Math.min(out.length, CHUNK));
  const words = new Uint32Array(2 * values.length);
  for (let start = 0; start < out.length; start += CHUNK) {
    stream.fillUint32(words, 2 * start);
    for (let i = 0; i < values.length; i++) values[i] = openUniform01(words[2 * i] ?? 0, words[2 * i + 1] ?? 0);
    quantile(values);
    const end = Math.min(start + CHUNK, out.length);
    for (let i = start; i < end; i++) out[i] = scale * (values[i - start] ?? 0);
  }
}

/** The uniform distribution on (0, 1): probabilities are its quantiles. */
export function uniformQuantile(): void {}

/** The uniform distribution on (-1, 1). */
export function symmetricUniformQuantile(values: Float64Array): void {
  for (let i = 0; i < values.length; i++) values[i] = 2 * (values[i] ?? 0) - 1;
}

/** A random sign: -1 below ½, else +1. */
export function signQuantile(values: Float64Array): void {
  for (let i = 0; i < values.length; i++) values[i] = (values[i] ?? 0) < 0.5 ? -1 : 1;
}

/** The Laplace distribution with mean 0 and scale 1 (variance 2): ln 2p, and -ln 2(1 - p) above ½. */
export function laplaceQuantile(values: Float64Array): void {
  for (let i = 0; i < values.length; i++) {
    const p = values[i] ?? 0;
    values[i] = p < 0.5 ? naturalLog(2 * p) : -naturalLog(2 * (1 - p));
  }
}

/** The coefficients of a polynomial of degree 7, the highest power's first. */
type Degree7 = readonly [number, number, number, number, number, number, number, number];

/** Wichura's quotients of polynomials: for |p - ½| ≤ 0.425, for √(-ln tail) ≤ 5, and for the rest of the tail. */
const CENTRE: readonly [numerator: Degree7, denominator: Degree7] = [
  [
    2509.0809287301227, 33430.57558358813, 67265.7709270087, 45921.95393154987, 13731.69376550946, 1971.5909503065513,
    133.14166789178438, 3.3871328727963665,
  ],
  [
    5226.495278852854, 28729.085735721943, 39307.89580009271, 21213.794301586597, 5394.196021424751, 687.1870074920579,
    42.31333070160091, 1,
  ],
];
const TAIL: readonly [numerator: Degree7, denominator: Degree7] = [
  [
    7.745450142783414e-4, 0.022723844989269184, 0.2417807251774506, 1.2704582524523684, 3.6478483247632045,
    5.769497221460691, 4.630337846156546, 1.4234371107496835,
  ],
  [
    1.0507500716444169e-9, 5.475938084995345e-4, 0.015198666563616457, 0.14810397642748008, 0.6897673349851,
    1.6763848301838038, 2.053191626637759, 1,
  ],
];
const FAR_TAIL: readonly [numerator: Degree7, denominator: Degree7] = [
  [
    2.0103343992922881e-7, 2.7115555687434876e-5, 0.0012426609473880784, 0.026532189526576124, 0.29656057182850487,
    1.7848265399172913, 5.463784911164114, 6.657904643501103,
  ],
  [
    2.0442631033899397e-15, 1.421511758316446e-7, 1.8463183175100548e-5, 7.868691311456133e-4, 0.014875361290850615,
    0.1369298809227358, 0.599832206555888, 1,
  ],
];

function horner(c: Degree7, x: number): number {
  return ((((((c[0] * x + c[1]) * x + c[2]) * x + c[3]) * x + c[4]) * x + c[5]) * x + c[6]) * x + c[7];
}

function quotient([numerator, denominator]: readonly [Degree7, Degree7], x: number): number {
  return horner(numerator, x) / horner(denominator, x);
}

/** Whether a probability q + ½ lies in the middle, where the normal quantile is `q * quotient(CENTRE, 0.180625 - q * q)`. */
function isCentral(q: number): boolean {
  return Math.abs(q) <= 0.425;
}

/** The normal quantile of a probability outside of that. */
function tailQuantile(p: number): number {
  const below = p < 0.5;
  const r = Math.sqrt(-naturalLog(below ? p : 1 - p));
  const magnitude = r <= 5 ? quotient(TAIL, r - 1.6) : quotient(FAR_TAIL, r - 5);
  return below ? -magnitude : magnitude;
}

/**
 * The normal distribution with mean 0 and standard deviation 1, with a relative error below 10^-15.
 * Source: Wichura, "Algorithm AS 241: The Percentage Points of the Normal Distribution" (Applied Statistics 37, 1988),
 * PPND16, on {@link naturalLog}.
 */
export function normalQuantile(values: Float64Array): void {
  for (let i = 0; i < values.length; i++) {
    const p = values[i] ?? 0;
    const q = p - 0.5;
    values[i] = isCentral(q) ? q * quotient(CENTRE, 0.180625 - q * q) : tailQuantile(p);
  }
}

/** The kernel numbers blocks by 31 bits, and two values take a block. */
const MOST = TWO_32;
let kernelMade: NormalKernel | null | undefined;

/** The kernel, made when it is wanted first; undefined where there is none. */
function kernelOf(): NormalKernel | undefined {
  if (kernelMade === undefined) kernelMade = normalKernel(CENTRE) ?? null;
  return kernelMade ?? undefined;
}

/** As {@link fillByInversion} with {@link normalQuantile}: the kernel draws, and what lies outside its middle is done here. */
function fillByKernel(out: Float32Array, { state }: RandomStream, kernel: NormalKernel, scale: number): void {
  const { probabilities, values } = kernel;
  for (let start = 0; start < out.length; start += KERNEL_CHUNK) {
    const count = Math.min(KERNEL_CHUNK, out.length - start);
    kernel.draw(state, start / 2, count, scale);
    for (let i = 0; i < count; i++) {
      const p = probabilities[i] ?? 0;
      if (isCentral(p - 0.5)) out[start + i] = values[i] ?? 0;
      else out[start + i] = scale * tailQuantile(p);
    }
  }
}

/** Reads a stream's words one after the other. */
class WordReader {
  readonly #stream: RandomStream;
  readonly #words = new Uint32Array(256);
  #position = 0;

  constructor(stream: RandomStream) {
    this.#stream = stream;
  }

  next(): number {
    const at = this.#position % this.#words.length;
    if (at === 0) this.#stream.fillUint32(this.#words, this.#position);
    this.#position += 1;
    return this.#words[at] ?? 0;
  }

  /** An integer in [0, n), each equally likely: a word beyond the last whole multiple of n is thrown away. */
  below(n: number): number {
    const end = TWO_32 - (TWO_32 % n);
    let word = this.next();
    while (word >= end) word = this.next();
    return word % n;
  }
}

/**
 * A random order of the integers 0 … n - 1, or its first `count`: every order is equally likely, and a shorter `count`
 * gives a prefix of the longer. Reads the stream from its start.
 * @throws {RangeError} unless 0 ≤ count ≤ n < 2^31.
 * Source: Fisher and Yates' shuffle as of Durstenfeld, "Algorithm 235: Random Permutation" (CACM 7, 1964), run upwards.
 */
export function permutation(stream: RandomStream, n: number, count = n): Int32Array {
  assertInteger("n", n, 0, TWO_31 - 1);
  assertInteger("count", count, 0, n);
  const order = Int32Array.from({ length: n }, (_, i) => i);
  const words = new WordReader(stream);
  for (let i = 0; i < count; i++) {
    const other = i + words.below(n - i);
    const chosen = order[other] ?? 0;
    order[other] = order[i] ?? 0;
    order[i] = chosen;
  }
  return count === n ? order : order.slice(0, count);
}
