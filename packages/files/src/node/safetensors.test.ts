import { readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { it } from "../../../../tests/support/folder.js";
import { UserError } from "../errors.js";
import { asTypedArray, encodeSafetensors, type TensorEntry } from "../safetensors/index.js";
import { readSafetensors, readSafetensorsHeader, writeSafetensors } from "./safetensors.js";

const weights = new Float32Array(1000).map((_, index) => index / 7);
const state: [string, TensorEntry][] = [
  ["flag", { dtype: "BOOL", shape: [1], data: new Uint8Array([1]) }],
  ["conv.weight", { dtype: "F32", shape: [10, 100], data: new Uint8Array(weights.buffer) }],
];

it("a written file reads back with its order, values, shapes and metadata", ({ folder }) => {
  const path = join(folder, "state.safetensors");
  writeSafetensors(path, state, { step: "12" });
  const { tensors, metadata } = readSafetensors(path);
  expect([...tensors]).toEqual(state);
  expect(metadata.step).toBe("12");
  const weight = tensors.get("conv.weight");
  expect(weight && asTypedArray(weight)).toEqual(weights);
  expect(readdirSync(folder)).toEqual(["state.safetensors"]);
});

it("all tensors of a file are aligned views of one buffer as large as its data, whatever the header's length", ({
  folder,
}) => {
  const path = join(folder, "f");
  const header = '{"w":{"dtype":"F32","shape":[1000],"data_offsets":[0,4000]}}';
  // 61 bytes leave the data at byte 69 of the file, where no float may be viewed.
  const json = new TextEncoder().encode(header.padEnd(61));
  const prefix = new Uint8Array(new BigUint64Array([61n]).buffer);
  writeFileSync(path, Buffer.concat([prefix, json, new Uint8Array(weights.buffer)]));
  const weight = readSafetensors(path).tensors.get("w");
  expect(weight?.data.byteOffset).toBe(0);
  expect(weight?.data.buffer.byteLength).toBe(4000);
  expect(weight && asTypedArray(weight)).toEqual(weights);
});

it("the header is read without the data", ({ folder }) => {
  const path = join(folder, "f");
  writeSafetensors(path, state, { a: "b" });
  const header = readSafetensorsHeader(path);
  expect([...header.tensors]).toEqual([
    ["flag", { dtype: "BOOL", shape: [1], begin: 4000, end: 4001 }],
    ["conv.weight", { dtype: "F32", shape: [10, 100], begin: 0, end: 4000 }],
  ]);
  expect(header.metadata.a).toBe("b");
  expect(header.byteLength).toBe(readFileSync(path).byteLength);
  expect(header.byteLength - header.dataOffset).toBe(4001);
});

it("a file of any truncated length is refused by its path", ({ folder }) => {
  const path = join(folder, "f");
  const whole = Buffer.concat(encodeSafetensors([["w", { dtype: "U8", shape: [3], data: new Uint8Array(3) }]]));
  writeFileSync(path, whole);
  for (let length = whole.byteLength - 1; length >= 0; length--) {
    truncateSync(path, length);
    for (const read of [readSafetensors, readSafetensorsHeader]) {
      expect(() => read(path), `${length} bytes`).toThrow(UserError);
      expect(() => read(path), `${length} bytes`).toThrow(path);
    }
  }
});

it("a sparse file of a terabyte is refused by its header, before memory is asked for", ({ folder }) => {
  const path = join(folder, "sparse");
  writeFileSync(path, Buffer.concat(encodeSafetensors([])));
  truncateSync(path, 2 ** 40);
  expect(() => readSafetensors(path)).toThrow("0 data bytes, as the header says");
});

it("a missing file and a folder are named", ({ folder }) => {
  expect(() => readSafetensors(join(folder, "none"))).toThrow("read safetensors: expected an existing file");
  expect(() => readSafetensors(folder)).toThrow("expected a regular file");
});

it("a tensor that can't be written leaves the old file", ({ folder }) => {
  const path = join(folder, "f");
  writeSafetensors(path, state);
  const before = readFileSync(path);
  const wrong: TensorEntry = { dtype: "F32", shape: [2], data: new Uint8Array(4) };
  expect(() => writeSafetensors(path, [["w", wrong]])).toThrow(UserError);
  expect(readFileSync(path)).toEqual(before);
});
