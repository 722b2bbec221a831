import { describe, expect, it } from "vitest";
import { toFloat32 } from "./float32.js";

const bytes = (array: ArrayBufferView) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
const halves = (...bits: number[]) => ({ shape: [bits.length], data: bytes(Uint16Array.from(bits)) });

describe("toFloat32", () => {
  it("reads IEEE halves: normal, subnormal, signed zero, infinite and not a number", () => {
    const values = toFloat32({ dtype: "F16", ...halves(0x3c00, 0xc100, 0x7bff, 0x0400, 0x03ff, 0x0001, 0x8001) });
    expect([...(values ?? [])]).toEqual([1, -2.5, 65504, 2 ** -14, 1023 * 2 ** -24, 2 ** -24, -(2 ** -24)]);
    const odd = toFloat32({ dtype: "F16", ...halves(0x8000, 0x7c00, 0xfc00, 0x7e00) });
    expect([...(odd ?? [])]).toEqual([-0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN]);
  });

  it("reads bfloat16 as float32's upper half", () => {
    const values = toFloat32({ dtype: "BF16", ...halves(0x3f80, 0xc020, 0x0001, 0x7f80, 0x8000) });
    expect([...(values ?? [])]).toEqual([1, -2.5, 2 ** -133, Number.POSITIVE_INFINITY, -0]);
  });

  it("rounds doubles to nearest and takes float32 as it is", () => {
    const data = bytes(Float64Array.of(0.1, -1e300, 2));
    expect(toFloat32({ dtype: "F64", shape: [3], data })).toEqual(
      Float32Array.of(Math.fround(0.1), Number.NEGATIVE_INFINITY, 2),
    );
    const own = Float32Array.of(0.25, -3);
    expect(toFloat32({ dtype: "F32", shape: [2], data: bytes(own) })).toEqual(own);
  });

  it("makes no weights of integers", () => {
    expect(toFloat32({ dtype: "I8", shape: [1], data: Uint8Array.of(1) })).toBeNull();
    expect(toFloat32({ dtype: "BOOL", shape: [1], data: Uint8Array.of(1) })).toBeNull();
  });
});
