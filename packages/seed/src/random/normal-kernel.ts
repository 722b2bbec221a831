import { webAssembly } from "../wasm/api.js";
import { doWhile, type Expr, f64x2, i32, i32x4, type Local, type Statement, step, v128 } from "../wasm/code.js";
import { FunctionBuilder, MEMORY, moduleOf } from "../wasm/module.js";
import { MULTIPLIER_0, MULTIPLIER_1, ROUNDS, WEYL_0, WEYL_1 } from "./philox.js";
import type { StreamState } from "./stream.js";

/** x ↦ numerator(x) / denominator(x), the highest powers' coefficients first. */
export type Quotient = readonly [numerator: readonly number[], denominator: readonly number[]];

/** Draws normal values in WebAssembly: the same bits as without, since IEEE 754 fixes those of each operation. */
export interface NormalKernel {
  /** The probabilities of the last call, and scale·(p - ½)·centre(0.180625 - (p - ½)²) for each: what it is where |p - ½| ≤ 0.425. */
  readonly probabilities: Float64Array;
  readonly values: Float32Array;
  /** Draws `count` values, at most {@link KERNEL_CHUNK}, from the stream's block on, which lies below 2^31. */
  draw(state: StreamState, block: number, count: number, scale: number): void;
}

/** The most values of one call. */
export const KERNEL_CHUNK = 1024;
/** Four blocks give so many values: they are drawn together. */
const GROUP = 8;
const BLOCKS = 4;

/** Where things lie in memory, in bytes. */
const PROBABILITIES = 0;
const VALUES = 8 * KERNEL_CHUNK;
const SCALE = 12 * KERNEL_CHUNK;

/** The kernel; undefined where there is no WebAssembly with SIMD, or where a page forbids it. */
export function normalKernel(centre: Quotient): NormalKernel | undefined {
  if (webAssembly === undefined) return undefined;
  const { Instance, Memory, Module } = webAssembly;
  try {
    const memory = new Memory({ initial: 1, maximum: 1 });
    const module = new Module(moduleOf([write(centre)], 1));
    const kernel = new Instance(module, { [MEMORY]: { [MEMORY]: memory } }).exports[0] as (...words: number[]) => void;
    const factor = new Float64Array(memory.buffer, SCALE, 1);
    return {
      probabilities: new Float64Array(memory.buffer, PROBABILITIES, KERNEL_CHUNK),
      values: new Float32Array(memory.buffer, VALUES, KERNEL_CHUNK),
      draw([key0, key1, name0, name1], block, count, scale) {
        factor[0] = scale;
        kernel(key0, key1, name0, name1, block, VALUES + 4 * GROUP * Math.ceil(count / GROUP));
      },
    };
  } catch {
    return undefined;
  }
}

/** A function of the key, the upper half of the counter, the first block, and the byte at which the values end. */
function write(centre: Quotient): FunctionBuilder {
  const code = new FunctionBuilder(6);
  const [block, end] = [code.parameter(4), code.parameter(5)];
  const [to, toProbability] = [code.local("i32"), code.local("i32")];
  const blocks = code.local("v128");
  const philox = new Philox(code);
  const [word0, word1, word2, word3] = philox.words;
  // A block's words 0 and 1 are its even value, 2 and 3 its odd one.
  const [even, odd] = [new Normal(code, centre), new Normal(code, centre)];
  const halves = ([0, 1] as const).flatMap((half) => [
    ...even.draw(word0, word1, half),
    ...odd.draw(word2, word3, half),
    v128.store(toProbability, i32x4.shuffle(even.probability, odd.probability, [0, 1, 4, 5]), 32 * half),
    v128.store(toProbability, i32x4.shuffle(even.probability, odd.probability, [2, 3, 6, 7]), 32 * half + 16),
    v128.store(to, i32x4.shuffle(even.value, odd.value, [0, 4, 1, 5]), 16 * half),
  ]);
  code.emit(
    to.set(i32.const(VALUES)),
    toProbability.set(i32.const(PROBABILITIES)),
    blocks.set(i32x4.add(i32x4.splat(block), v128.const([0, 1, 2, 3]))),
    doWhile(
      [
        ...philox.encrypt(blocks),
        ...halves,
        blocks.set(i32x4.add(blocks, v128.const([BLOCKS, BLOCKS, BLOCKS, BLOCKS]))),
        step(to, 4 * GROUP),
        step(toProbability, 8 * GROUP),
      ],
      i32.less(to, end),
    ),
  );
  return code;
}

/** Philox4x32 of four blocks at once; parameters 0 to 3 of the function are the key and the counter's upper half. */
class Philox {
  readonly words: readonly [Local<"v128">, Local<"v128">, Local<"v128">, Local<"v128">];
  readonly #keys: readonly [Local<"v128">, Local<"v128">];
  readonly #products: readonly [Local<"v128">, Local<"v128">, Local<"v128">, Local<"v128">];
  readonly #rounds: Local<"i32">;
  readonly #code: FunctionBuilder;

  constructor(code: FunctionBuilder) {
    const vector = () => code.local("v128");
    this.#code = code;
    this.words = [vector(), vector(), vector(), vector()];
    this.#keys = [vector(), vector()];
    this.#products = [vector(), vector(), vector(), vector()];
    this.#rounds = code.local("i32");
  }

  /** Leaves in `words` what it makes of the counters whose lowest words are given. */
  encrypt(blocks: Expr<"v128">): Statement[] {
    const [c0, c1, c2, c3] = this.words;
    const [k0, k1] = this.#keys;
    const [low0, high0, low2, high2] = this.#products;
    const parameter = (index: number) => i32x4.splat(this.#code.parameter(index));
    const rounds = this.#rounds;
    return [
      k0.set(parameter(0)),
      k1.set(parameter(1)),
      c0.set(blocks),
      c1.set(v128.const([0, 0, 0, 0])),
      c2.set(parameter(2)),
      c3.set(parameter(3)),
      rounds.set(i32.const(ROUNDS)),
      doWhile(
        [
          ...this.#multiply(c0, MULTIPLIER_0, low0, high0),
          ...this.#multiply(c2, MULTIPLIER_1, low2, high2),
          c0.set(i32x4.xor(i32x4.xor(odds(low2, high2), c1), k0)),
          c1.set(evens(low2, high2)),
          c2.set(i32x4.xor(i32x4.xor(odds(low0, high0), c3), k1)),
          c3.set(evens(low0, high0)),
          k0.set(i32x4.add(k0, words(WEYL_0))),
          k1.set(i32x4.add(k1, words(WEYL_1))),
          step(rounds, -1),
        ],
        i32.less(i32.const(0), rounds),
      ),
    ];
  }

  /** The products of integers 0 and 1, and those of 2 and 3. */
  #multiply(a: Expr<"v128">, by: number, low: Local<"v128">, high: Local<"v128">): Statement[] {
    return [low.set(i32x4.products(a, words(by), 0)), high.set(i32x4.products(a, words(by), 1))];
  }
}

/** Two normal values of two blocks. */
class Normal {
  /** Their probabilities as doubles, and themselves as floats 0 and 1. */
  readonly probability: Local<"v128">;
  readonly value: Local<"v128">;
  readonly #q: Local<"v128">;
  readonly #x: Local<"v128">;

  constructor(
    code: FunctionBuilder,
    readonly centre: Quotient,
  ) {
    this.probability = code.local("v128");
    this.value = code.local("v128");
    this.#q = code.local("v128");
    this.#x = code.local("v128");
  }

  /** From the words of blocks 0 and 1, or of 2 and 3. */
  draw(high: Expr<"v128">, low: Expr<"v128">, half: 0 | 1): Statement[] {
    const [p, q, x] = [this.probability, this.#q, this.#x];
    const { add, div, loadSplat, mul, splat, sub, toFloats } = f64x2;
    const [numerator, denominator] = this.centre;
    const number = (a: Expr<"v128">) => {
      const wanted = half === 0 ? a : i32x4.shuffle(a, a, [2, 3, 0, 1]);
      return f64x2.fromIntegers(i32x4.shiftRight(wanted, 6));
    };
    const integer = add(mul(number(high), splat(2 ** 26)), number(low));
    return [
      p.set(mul(add(integer, splat(0.5)), splat(2 ** -52))),
      q.set(sub(p, splat(0.5))),
      x.set(sub(splat(0.180625), mul(q, q))),
      this.value.set(
        toFloats(mul(loadSplat(i32.const(SCALE)), mul(q, div(horner(numerator, x), horner(denominator, x))))),
      ),
    ];
  }
}

function horner([first = 0, ...rest]: readonly number[], x: Expr<"v128">): Expr<"v128"> {
  return rest.reduce((sum, coefficient) => f64x2.add(f64x2.mul(sum, x), f64x2.splat(coefficient)), f64x2.splat(first));
}

function words(word: number): Expr<"v128"> {
  return v128.const([word, word, word, word]);
}

/** The lower words of four products. */
function evens(a: Expr<"v128">, b: Expr<"v128">): Expr<"v128"> {
  return i32x4.shuffle(a, b, [0, 2, 4, 6]);
}

function odds(a: Expr<"v128">, b: Expr<"v128">): Expr<"v128"> {
  return i32x4.shuffle(a, b, [1, 3, 5, 7]);
}
