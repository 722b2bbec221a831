import { f32Bytes, signed, unsigned } from "./leb128.js";

/** The types that our functions compute with. */
export type ValueType = "i32" | "v128";

/** Bytes as a tree: what is part of larger code isn't copied, and flattened once at the end. */
export type Code = readonly (number | Code)[];

/** Instructions that leave one value of a type on the stack. */
export interface Expr<T extends ValueType> {
  readonly type: T;
  readonly code: Code;
}

/** Instructions that leave nothing on the stack. */
export type Statement = Code;

/** A parameter or a variable of a function. */
export interface Local<T extends ValueType> extends Expr<T> {
  set(value: Expr<T>): Statement;
}

const SIMD = 0xfd;

/** Alignment hints, as powers of two: all that we load and store lies at whole floats, or doubles. */
const FLOAT = 2;
const DOUBLE = 3;

function expr<T extends ValueType>(type: T, ...code: Code): Expr<T> {
  return { type, code };
}

/** Local number `index` of a function. */
export function local<T extends ValueType>(type: T, index: number): Local<T> {
  const number = unsigned(index);
  return { type, code: [0x20, number], set: (value) => [value.code, 0x21, number] };
}

/** Instructions on 32-bit integers; addresses are those of bytes. */
export const i32 = {
  const: (value: number) => expr("i32", 0x41, signed(value)),
  add: (a: Expr<"i32">, b: Expr<"i32">) => expr("i32", a.code, b.code, 0x6a),
  /** a < b, both unsigned. */
  less: (a: Expr<"i32">, b: Expr<"i32">) => expr("i32", a.code, b.code, 0x49),
  load: (address: Expr<"i32">, offset = 0) => expr("i32", address.code, 0x28, FLOAT, unsigned(offset)),
};

/** Instructions on four 32-bit floats, or on the bits of them. */
export const v128 = {
  /** The four 32-bit words given. */
  const: (words: readonly number[]) => expr("v128", SIMD, 0x0c, [...new Uint8Array(Uint32Array.from(words).buffer)]),
  /** One float, four times. */
  splat: (value: number) => {
    const bytes = f32Bytes(value);
    return expr("v128", SIMD, 0x0c, bytes, bytes, bytes, bytes);
  },
  load: (address: Expr<"i32">, offset = 0) => expr("v128", address.code, SIMD, 0x00, FLOAT, unsigned(offset)),
  loadSplat: (address: Expr<"i32">, offset = 0) => expr("v128", address.code, SIMD, 0x09, FLOAT, unsigned(offset)),
  store: (address: Expr<"i32">, value: Expr<"v128">, offset = 0): Statement => [
    address.code,
    value.code,
    SIMD,
    0x0b,
    FLOAT,
    unsigned(offset),
  ],
  /** The vector with one lane loaded anew. */
  loadLane: (address: Expr<"i32">, vector: Expr<"v128">, lane: number, offset = 0) =>
    expr("v128", address.code, vector.code, SIMD, 0x56, FLOAT, unsigned(offset), lane),
  /** a's floats 0 and 2, then b's. */
  even: (a: Expr<"v128">, b: Expr<"v128">) => i32x4.shuffle(a, b, [0, 2, 4, 6]),
  and: (a: Expr<"v128">, b: Expr<"v128">) => expr("v128", a.code, b.code, SIMD, 0x4e),
  add: (a: Expr<"v128">, b: Expr<"v128">) => expr("v128", a.code, b.code, SIMD, unsigned(0xe4)),
  mul: (a: Expr<"v128">, b: Expr<"v128">) => expr("v128", a.code, b.code, SIMD, unsigned(0xe6)),
  /** a < b ? b : a: one instruction of the processor, where `max` with its rules for NaN takes several. */
  max: (a: Expr<"v128">, b: Expr<"v128">) => expr("v128", a.code, b.code, SIMD, unsigned(0xeb)),
};

/** Instructions on the bits of four 32-bit integers. */
export const i32x4 = {
  /** One integer, four times. */
  splat: (value: Expr<"i32">) => expr("v128", value.code, SIMD, 0x11),
  xor: (a: Expr<"v128">, b: Expr<"v128">) => expr("v128", a.code, b.code, SIMD, 0x51),
  add: (a: Expr<"v128">, b: Expr<"v128">) => expr("v128", a.code, b.code, SIMD, unsigned(0xae)),
  /** Shifted to the right by so many bits, zeros coming in. */
  shiftRight: (a: Expr<"v128">, bits: number) => expr("v128", a.code, 0x41, signed(bits), SIMD, unsigned(0xad)),
  /** The whole 64-bit products of the unsigned integers 0 and 1, or 2 and 3. */
  products: (a: Expr<"v128">, b: Expr<"v128">, half: 0 | 1) =>
    expr("v128", a.code, b.code, SIMD, unsigned(0xde + half)),
  /** Four of the eight integers of a and b, by their numbers. */
  shuffle: (a: Expr<"v128">, b: Expr<"v128">, which: readonly number[]) =>
    expr(
      "v128",
      a.code,
      b.code,
      SIMD,
      0x0d,
      which.flatMap((word) => [4 * word, 4 * word + 1, 4 * word + 2, 4 * word + 3]),
    ),
};

/** Instructions on two 64-bit floats. */
export const f64x2 = {
  /** One number, twice. */
  splat: (value: number) => {
    const bytes = [...new Uint8Array(Float64Array.of(value).buffer)];
    return expr("v128", SIMD, 0x0c, bytes, bytes);
  },
  /** A number in memory, twice. */
  loadSplat: (address: Expr<"i32">, offset = 0) => expr("v128", address.code, SIMD, 0x0a, DOUBLE, unsigned(offset)),
  /** The unsigned integers 0 and 1 as numbers. */
  fromIntegers: (a: Expr<"v128">) => expr("v128", a.code, SIMD, unsigned(0xff)),
  /** Rounded to floats 0 and 1; floats 2 and 3 are zeros. */
  toFloats: (a: Expr<"v128">) => expr("v128", a.code, SIMD, 0x5e),
  add: (a: Expr<"v128">, b: Expr<"v128">) => expr("v128", a.code, b.code, SIMD, unsigned(0xf0)),
  sub: (a: Expr<"v128">, b: Expr<"v128">) => expr("v128", a.code, b.code, SIMD, unsigned(0xf1)),
  mul: (a: Expr<"v128">, b: Expr<"v128">) => expr("v128", a.code, b.code, SIMD, unsigned(0xf2)),
  div: (a: Expr<"v128">, b: Expr<"v128">) => expr("v128", a.code, b.code, SIMD, unsigned(0xf3)),
};

/** Adds to a variable. */
export function step(variable: Local<"i32">, by: number): Statement {
  return variable.set(i32.add(variable, i32.const(by)));
}

/** Runs the body, and again for as long as the condition then holds. */
export function doWhile(body: readonly Statement[], condition: Expr<"i32">): Statement {
  return [0x03, 0x40, body, condition.code, 0x0d, 0x00, 0x0b];
}

/** Runs the body if the condition holds. */
export function when(condition: Expr<"i32">, body: readonly Statement[]): Statement {
  return [condition.code, 0x04, 0x40, body, 0x0b];
}
