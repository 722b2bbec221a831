import { readFileSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "@peekaboo/files/errors";
import type { TensorEntry } from "@peekaboo/files/safetensors";
import { describe, expect } from "vitest";
import { it } from "../../../tests/support/folder.js";
import { OrderedDict } from "./pickle/values.js";
import { parsePth, readPth } from "./read.js";
import { StoredTensor } from "./tensor.js";
import { encodePth, writePth } from "./write.js";

const bytes = (array: ArrayBufferView) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

const tensors: [string, TensorEntry][] = [
  ["conv.weight", { dtype: "F32", shape: [2, 1, 1, 2], data: bytes(Float32Array.of(1, -2, 3.5, Number.NaN)) }],
  ["bn.num_batches_tracked", { dtype: "I64", shape: [], data: bytes(BigInt64Array.of(2n ** 40n)) }],
  ["mask.conv.weight", { dtype: "U8", shape: [4], data: Uint8Array.of(1, 0, 1, 1) }],
  ["größe", { dtype: "F16", shape: [2], data: Uint8Array.of(0, 60, 0, 64) }],
  ["flags", { dtype: "BOOL", shape: [1, 2], data: Uint8Array.of(0, 1) }],
  ["empty", { dtype: "F64", shape: [0, 3], data: new Uint8Array(0) }],
];

describe("writePth", () => {
  it("writes an ordered dictionary that readPth gives back", async ({ folder }) => {
    const path = join(folder, "x.pth");
    await writePth(path, tensors);
    const file = await readPth(path);
    expect(file.value).toBeInstanceOf(OrderedDict);
    const read = [...(file.value as OrderedDict)].map(([name, tensor]) => {
      if (!(tensor instanceof StoredTensor)) throw new Error(`${name} is no tensor`);
      const { dtype, shape, data } = file.entryOf(tensor);
      return [name, { dtype, shape, data: new Uint8Array(data) }];
    });
    expect(read).toEqual(tensors);
  });

  it("gives the same bytes at any time and in any time zone", async () => {
    const zone = process.env.TZ;
    const write = async (name: string) => {
      process.env.TZ = name;
      return Buffer.concat(await encodePth(tensors));
    };
    try {
      expect((await write("Asia/Tokyo")).equals(await write("America/Lima"))).toBe(true);
    } finally {
      if (zone === undefined) delete process.env.TZ;
      else process.env.TZ = zone;
    }
  });

  it("writes an empty state", async () => {
    const { value } = await parsePth(new Uint8Array(Buffer.concat(await encodePth([]))), "x");
    expect(value).toEqual(new OrderedDict());
  });

  it("refuses a name that comes twice, data of another size and a folder that isn't there", async ({ folder }) => {
    const [first] = tensors;
    const twice = first === undefined ? [] : [first, first];
    await expect(encodePth(twice)).rejects.toThrow('each name once for tensor "conv.weight"');
    for (const dtype of ["F32", "F16"] as const) {
      const short = { dtype, shape: [3], data: new Uint8Array(2) };
      await expect(encodePth([["w", short]])).rejects.toThrow(UserError);
    }
    await expect(writePth(join(folder, "none", "x.pth"), tensors)).rejects.toThrow("an existing folder");
  });

  it("leaves a file as it was when it can't be replaced", async ({ folder }) => {
    const path = join(folder, "x.pth");
    await writePth(path, tensors);
    const before = readFileSync(path);
    await expect(writePth(path, [["w", { dtype: "F32", shape: [1], data: new Uint8Array(2) }]])).rejects.toThrow();
    expect(readFileSync(path).equals(before)).toBe(true);
  });
});
