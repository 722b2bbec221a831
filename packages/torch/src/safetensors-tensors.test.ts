import { UserError } from "@peekaboo/files/errors";
import { encodeSafetensors, parseSafetensors, type TensorEntry } from "@peekaboo/files/safetensors";
import { describe, expect, it } from "vitest";
import type { TypedArray } from "./dtype.js";
import { entryOf, tensorOf } from "./safetensors-tensors.js";
import { scope } from "./scope.js";
import { Tensor } from "./tensor.js";

function entry(dtype: TensorEntry["dtype"], shape: number[], array: TypedArray): TensorEntry {
  return { dtype, shape, data: new Uint8Array(array.buffer, array.byteOffset, array.byteLength) };
}

const samples: [TensorEntry["dtype"], string, number[], TypedArray][] = [
  ["F32", "float32", [2, 2], new Float32Array([1, -0, Number.NaN, 3.5])],
  ["F64", "float64", [], new Float64Array([Math.PI])],
  ["I64", "int64", [2], new BigInt64Array([-(2n ** 63n), 2n ** 63n - 1n])],
  ["I32", "int32", [1], new Int32Array([-(2 ** 31)])],
  ["I16", "int16", [2, 1], new Int16Array([-32768, 32767])],
  ["I8", "int8", [2], new Int8Array([-128, 127])],
  ["U8", "uint8", [3], new Uint8Array([0, 1, 255])],
  ["BOOL", "bool", [3], new Uint8Array([1, 0, 1])],
  ["F32", "float32", [0, 7], new Float32Array(0)],
];

describe("tensorOf and entryOf", () => {
  it.each(samples)("keep dtype, shape and every bit of %s %s %j", (stored, dtype, shape, array) => {
    const original = entry(stored, shape, array);
    for (const share of [false, true]) {
      scope(() => {
        const tensor = tensorOf(original, { share });
        expect(tensor.dtype).toBe(dtype);
        expect(tensor.shape).toEqual(shape);
        expect(tensor.toTypedArray()).toEqual(array);
        expect(entryOf(tensor)).toEqual(original);
      });
    }
  });

  it("pass through a file, where a tensor's elements need not be aligned", () => {
    const file = new Uint8Array(
      Buffer.concat(encodeSafetensors([["w", entry("F32", [2], new Float32Array([0.5, -2]))]])),
    );
    const misaligned = new Uint8Array(file.byteLength + 1);
    misaligned.set(file, 1);
    for (const bytes of [file, misaligned.subarray(1)]) {
      const read = parseSafetensors(bytes, "f").tensors.get("w");
      if (read === undefined) throw new Error("the tensor is missing");
      scope(() => expect(tensorOf(read, { share: true }).toArray()).toEqual([0.5, -2]));
    }
  });
});

describe("tensorOf", () => {
  it("copies, so that writing to the tensor leaves the entry alone", () => {
    const array = new Float32Array([1, 2]);
    scope(() => tensorOf(entry("F32", [2], array)).fill_(7));
    expect([...array]).toEqual([1, 2]);
  });

  it("uses the entry's own memory when asked to share", () => {
    const array = new Float32Array([0, 1, 2]);
    scope(() => tensorOf(entry("F32", [2], array.subarray(1)), { share: true }).fill_(7));
    expect([...array]).toEqual([0, 7, 7]);
  });

  it("refuses half precision and an entry whose shape and data disagree", () => {
    expect(() => tensorOf({ dtype: "F16", shape: [1], data: new Uint8Array(2) })).toThrow(UserError);
    expect(() => tensorOf({ dtype: "F32", shape: [3], data: new Uint8Array(8) })).toThrow(UserError);
  });
});

describe("entryOf", () => {
  it("lays a transposed tensor out row-major", () => {
    scope(() => {
      const tensor = Tensor.of([
        [1, 2, 3],
        [4, 5, 6],
      ]).transpose(0, 1);
      expect(entryOf(tensor)).toEqual(entry("F32", [3, 2], new Float32Array([1, 4, 2, 5, 3, 6])));
    });
  });

  it("takes the values of a parameter that requires a gradient", () => {
    scope(() => expect(entryOf(Tensor.of([2]).requireGrad()).data).toEqual(new Uint8Array([0, 0, 0, 64])));
  });
});
