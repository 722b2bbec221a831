import { describe, expect, it } from "vitest";
import { webAssembly } from "./api.js";
import { doWhile, type Expr, i32, type Statement, step, v128, when } from "./code.js";
import { hasSimd } from "./detect.js";
import { f32Bytes, signed, unsigned } from "./leb128.js";
import { FunctionBuilder, MEMORY, moduleOf } from "./module.js";

/** Runs one function of (a, b) on a page that begins with `numbers`, and returns what they are afterwards. */
async function run(numbers: readonly number[], write: (code: FunctionBuilder) => Statement[], values = [0, 0]) {
  if (webAssembly === undefined) throw new Error("no WebAssembly here");
  const memory = new webAssembly.Memory({ initial: 1, maximum: 1 });
  const floats = new Float32Array(memory.buffer);
  floats.set(numbers);
  const code = new FunctionBuilder(2);
  code.emit(...write(code));
  const { instance } = await webAssembly.instantiate(moduleOf([code], 1), { [MEMORY]: { [MEMORY]: memory } });
  (instance.exports[0] as (...values: number[]) => void)(...values);
  return { floats, ints: new Int32Array(memory.buffer) };
}

/** The four floats that an expression of the vectors at bytes 0 and 16 gives. */
async function vector(
  a: readonly number[],
  b: readonly number[],
  f: (a: Expr<"v128">, b: Expr<"v128">) => Expr<"v128">,
) {
  const zero = i32.const(0);
  const { floats } = await run([...a, ...b], () => [v128.store(zero, f(v128.load(zero), v128.load(zero, 16)), 400)]);
  return [...floats.subarray(100, 104)];
}

describe("LEB128", () => {
  it.each([
    [0, [0]],
    [127, [0x7f]],
    [128, [0x80, 1]],
    [624485, [0xe5, 0x8e, 0x26]],
    [2 ** 32 - 1, [0xff, 0xff, 0xff, 0xff, 0x0f]],
  ])("writes %s without a sign as the specification does", (value, bytes) => {
    expect(unsigned(value)).toEqual(bytes);
  });

  it.each([
    [0, [0]],
    [63, [0x3f]],
    [64, [0xc0, 0]],
    [-1, [0x7f]],
    [-64, [0x40]],
    [-123456, [0xc0, 0xbb, 0x78]],
    [-(2 ** 31), [0x80, 0x80, 0x80, 0x80, 0x78]],
  ])("writes %s with a sign", (value, bytes) => {
    expect(signed(value)).toEqual(bytes);
  });
});

describe("a module of ours", () => {
  it("has the bytes that the specification gives for an empty function", () => {
    expect(f32Bytes(1.5)).toEqual([0, 0, 0xc0, 0x3f]);
    const [magic, types] = [
      [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
      [1, 4, 1, 0x60, 0, 0],
    ];
    const imported = [2, 8, 1, 1, 0x6d, 1, 0x6d, 2, 0, 1];
    const rest = [3, 2, 1, 0, 7, 5, 1, 1, 0x30, 0, 0, 10, 4, 1, 2, 0, 0x0b];
    expect([...moduleOf([new FunctionBuilder(0)], 1)]).toEqual([...magic, ...types, ...imported, ...rest]);
  });

  it("computes with vectors", async () => {
    const [a, b] = [
      [1, -2, 3, -4],
      [10, 20, -30, -40],
    ];
    expect(await vector(a, b, v128.add)).toEqual([11, 18, -27, -44]);
    expect(await vector(a, b, v128.mul)).toEqual([10, -40, -90, 160]);
    expect(await vector(a, b, v128.max)).toEqual([10, 20, 3, -4]);
    expect(await vector(a, b, v128.even)).toEqual([1, 3, 10, -30]);
    expect(await vector(a, b, (x) => v128.and(x, v128.const([0xffffffff, 0, 0, 0xffffffff])))).toEqual([1, 0, 0, -4]);
    expect(await vector(a, b, (_, y) => v128.mul(y, v128.splat(0.5)))).toEqual([5, 10, -15, -20]);
    expect(await vector(a, b, (x) => v128.loadLane(i32.const(4), x, 2, 12))).toEqual([1, -2, 10, -4]);
    expect(await vector(a, b, () => v128.loadSplat(i32.const(4), 4))).toEqual([3, 3, 3, 3]);
  });

  it("runs loops, conditions, parameters and variables", async () => {
    // Adds the float at `a` as often as `b` says to four floats at 400, and counts in the integer at 0.
    const { floats } = await run(
      [0, 2.5],
      (code) => {
        const [a, b] = [code.parameter(0), code.parameter(1)];
        const [sum, spare] = [code.local("v128"), code.local("i32")];
        return [
          doWhile([sum.set(v128.add(sum, v128.loadSplat(a))), step(b, -1), step(spare, 1)], b),
          when(i32.less(spare, i32.const(4)), [v128.store(i32.const(400), sum)]),
          when(i32.less(spare, i32.const(3)), [v128.store(i32.const(400), v128.splat(-1))]),
        ];
      },
      [4, 3],
    );
    expect([...floats.subarray(100, 104)]).toEqual([7.5, 7.5, 7.5, 7.5]);
  });

  it("refuses a parameter that a function doesn't have", () => {
    expect(() => new FunctionBuilder(2).parameter(2)).toThrow("parameter 2 of a function with 2");
  });

  it("is what this engine runs, with SIMD", () => {
    expect(hasSimd()).toBe(true);
  });
});
