import { describe, expect, it } from "vitest";
import { UserError } from "../errors.js";
import type { SafetensorsDtype } from "./dtype.js";
import { asTypedArray, encodeSafetensors, parseSafetensors, type TensorEntry } from "./format.js";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const joined = (chunks: Uint8Array[]) => new Uint8Array(Buffer.concat(chunks));

function entry(dtype: SafetensorsDtype, shape: number[], array: ArrayBufferView): TensorEntry {
  return { dtype, shape, data: new Uint8Array(array.buffer, array.byteOffset, array.byteLength) };
}

const samples: [string, TensorEntry][] = [
  ["mask", entry("BOOL", [3], new Uint8Array([1, 0, 1]))],
  ["2", entry("F32", [2, 2], new Float32Array([1, -0, Number.NaN, 3.5]))],
  ["1", entry("I64", [2], new BigInt64Array([-(2n ** 63n), 2n ** 63n - 1n]))],
  ["__proto__", entry("F64", [], new Float64Array([Math.PI]))],
  ["half", entry("F16", [1], new Uint8Array([0x00, 0x3c]))],
  ["brain", entry("BF16", [1], new Uint8Array([0x80, 0x3f]))],
  ["empty", entry("F32", [0, 7], new Float32Array(0))],
  ["层.é", entry("I16", [2], new Int16Array([-32768, 32767]))],
  ["i8", entry("I8", [1, 2], new Int8Array([-128, 127]))],
  ["i32", entry("I32", [1], new Int32Array([-(2 ** 31)]))],
  ["u8", entry("U8", [2], new Uint8Array([0, 255]))],
];

describe("encodeSafetensors", () => {
  it("writes the bytes that the format describes", () => {
    const header =
      '{"__metadata__":{"k":"v"},"a":{"dtype":"U8","shape":[3],"data_offsets":[4,7]},"b":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}';
    expect(header).toHaveLength(130);
    const file = joined(
      encodeSafetensors(
        [
          ["a", entry("U8", [3], new Uint8Array([7, 8, 9]))],
          ["b", entry("F32", [], new Float32Array([1]))],
        ],
        { k: "v" },
      ),
    );
    expect([...file.subarray(0, 8)]).toEqual([136, 0, 0, 0, 0, 0, 0, 0]);
    expect(text(file.subarray(8, 144))).toBe(`${header}      `);
    expect([...file.subarray(144)]).toEqual([0, 0, 0x80, 0x3f, 7, 8, 9]);
  });

  it("writes an empty file that reads back", () => {
    const file = joined(encodeSafetensors([]));
    expect([...file]).toEqual([8, 0, 0, 0, 0, 0, 0, 0, ...new TextEncoder().encode("{}      ")]);
    expect(parseSafetensors(file, "f").tensors.size).toBe(0);
  });

  it("passes the tensors' own bytes on, without a copy, by falling item size and then in the order given", () => {
    const chunks = encodeSafetensors(samples);
    const order = ["1", "__proto__", "2", "empty", "i32", "half", "brain", "层.é", "mask", "i8", "u8"];
    const data = new Map(samples);
    expect(chunks).toHaveLength(12);
    order.forEach((name, index) => {
      expect(chunks[index + 1], name).toBe(data.get(name)?.data);
    });
  });

  it.each<[string, [string, TensorEntry][], string]>([
    [
      "too few bytes",
      [["w", entry("F32", [2], new Float32Array(1))]],
      '8 data bytes, as F32 [2] takes for tensor "w", received 4',
    ],
    ["a fractional size", [["w", entry("U8", [0.5], new Uint8Array(0))]], "received [0.5]"],
    ["a negative size", [["w", entry("U8", [-1], new Uint8Array(0))]], "received [-1]"],
    ["65 dimensions", [["w", entry("U8", Array(65).fill(1), new Uint8Array(1))]], "at most 64 non-negative integers"],
    ["an unknown dtype", [["w", entry("F8" as SafetensorsDtype, [], new Uint8Array(1))]], 'received "F8"'],
    [
      "a BOOL of 2",
      [["w", entry("BOOL", [2], new Uint8Array([1, 2]))]],
      'BOOL bytes of 0 or 1 for tensor "w", received 2',
    ],
    ["the metadata's name", [["__metadata__", entry("U8", [0], new Uint8Array(0))]], "the metadata's key"],
    [
      "a name twice",
      [
        ["w", entry("U8", [0], new Uint8Array(0))],
        ["w", entry("U8", [0], new Uint8Array(0))],
      ],
      'each name once for tensor "w"',
    ],
  ])("refuses %s", (_, tensors, message) => {
    expect(() => encodeSafetensors(tensors)).toThrow(UserError);
    expect(() => encodeSafetensors(tensors)).toThrow(message);
  });

  it("refuses metadata that isn't text", () => {
    const metadata = { epoch: 3 } as unknown as Record<string, string>;
    expect(() => encodeSafetensors([], metadata)).toThrow('expected a string for metadata "epoch", received number');
  });
});

describe("parseSafetensors", () => {
  it("returns what was encoded: names in their order, shapes, bytes and metadata", () => {
    const metadata = Object.fromEntries([
      ["format", "pt"],
      ["", 'quotes " and \\ and \n'],
      ["__proto__", "plain"],
    ]);
    const { tensors, metadata: read } = parseSafetensors(joined(encodeSafetensors(samples, metadata)), "f");
    expect([...tensors]).toEqual(samples);
    expect(Object.entries(read)).toEqual(Object.entries(metadata));
    expect(Object.getPrototypeOf(read)).toBeNull();
    expect(({} as Record<string, unknown>).plain).toBeUndefined();
  });

  it("returns views of the file, aligned to their items when the file is", () => {
    const file = joined(encodeSafetensors(samples));
    const sizes = { F64: 8, I64: 8, F32: 4, I32: 4, F16: 2, BF16: 2, I16: 2, I8: 1, U8: 1, BOOL: 1 };
    for (const [name, { dtype, data }] of parseSafetensors(file, "f").tensors) {
      expect(data.buffer, name).toBe(file.buffer);
      expect(data.byteOffset % sizes[dtype], name).toBe(0);
    }
  });

  it("reads a file that lies at an odd offset of a Buffer", () => {
    const shifted = Buffer.concat([Buffer.alloc(3), ...encodeSafetensors(samples)]).subarray(3);
    const { tensors } = parseSafetensors(shifted, "f");
    expect([...tensors]).toEqual(samples);
    expect(tensors.get("mask")?.data.constructor).toBe(Uint8Array);
  });
});

describe("asTypedArray", () => {
  it("gives every dtype its array and exact values, aligned or not", () => {
    const expected = new Map<string, unknown>([
      ["mask", new Uint8Array([1, 0, 1])],
      ["2", new Float32Array([1, -0, Number.NaN, 3.5])],
      ["1", new BigInt64Array([-9223372036854775808n, 9223372036854775807n])],
      ["__proto__", new Float64Array([Math.PI])],
      ["empty", new Float32Array(0)],
      ["层.é", new Int16Array([-32768, 32767])],
      ["i8", new Int8Array([-128, 127])],
      ["i32", new Int32Array([-2147483648])],
      ["u8", new Uint8Array([0, 255])],
    ]);
    const file = joined(encodeSafetensors(samples));
    const shifted = new Uint8Array(file.byteLength + 1).subarray(1);
    shifted.set(file);
    for (const [name, values] of expected) {
      for (const source of [file, shifted]) {
        const tensor = parseSafetensors(source, "f").tensors.get(name);
        expect(tensor && asTypedArray(tensor), name).toStrictEqual(values);
      }
    }
  });

  it("shares memory where it can, and copies misaligned bytes", () => {
    const memory = new Uint8Array(16);
    const aligned = asTypedArray({ dtype: "F32", shape: [2], data: memory.subarray(4, 12) });
    const copied = asTypedArray({ dtype: "F32", shape: [2], data: Buffer.from(memory.buffer, 2, 8) });
    memory.fill(0xff);
    expect(aligned.buffer).toBe(memory.buffer);
    expect([...aligned]).toEqual([Number.NaN, Number.NaN]);
    expect([...copied]).toEqual([0, 0]);
  });

  it.each(["F16", "BF16"] as const)("says that JavaScript has no array for %s", (dtype) => {
    const run = () => asTypedArray({ dtype, shape: [1], data: new Uint8Array(2) });
    expect(run).toThrow(UserError);
    expect(run).toThrow(`received ${dtype}; use its bytes, or convert it to F32 first`);
  });

  it("refuses bytes that don't fit the shape", () => {
    expect(() => asTypedArray({ dtype: "F32", shape: [2], data: new Uint8Array(7) })).toThrow("8 data bytes");
  });
});
