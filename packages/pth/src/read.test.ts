import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { deflateRawSync } from "node:zlib";
import { UserError } from "@peekaboo/files/errors";
import { asTypedArray } from "@peekaboo/files/safetensors";
import { describe, expect, it } from "vitest";
import { Inert } from "./pickle/plain.js";
import { type PickleDict, PickleGlobal, type PickleValue } from "./pickle/values.js";
import { isPth, type PthFile, parsePth, readPth } from "./read.js";
import { StoredTensor } from "./tensor.js";

const path = (name: string) => fileURLToPath(new URL(`./fixtures/${name}.pth`, import.meta.url));
const bytesOf = (name: string) => new Uint8Array(readFileSync(path(name)));

/** What fixtures/make.py filled its network with: element i of tensor n is 10·n + i. */
const STATE = {
  "conv.weight": { dtype: "F32", shape: [2, 1, 1, 1], values: [0, 1] },
  "bn.weight": { dtype: "F32", shape: [2], values: [10, 11] },
  "bn.bias": { dtype: "F32", shape: [2], values: [20, 21] },
  "bn.running_mean": { dtype: "F32", shape: [2], values: [30, 31] },
  "bn.running_var": { dtype: "F32", shape: [2], values: [40, 41] },
  "bn.num_batches_tracked": { dtype: "I64", shape: [], values: [50n] },
  "linear.weight": { dtype: "F32", shape: [3, 2], values: [60, 61, 62, 63, 64, 65] },
  "linear.bias": { dtype: "F32", shape: [3], values: [70, 71, 72] },
};

function dictionary(value: PickleValue | undefined): PickleDict {
  if (!(value instanceof Map)) throw new Error("no dictionary");
  return value;
}

function tensorsIn(file: PthFile, dict: PickleDict) {
  const tensors = [...dict].map(([name, value]) => {
    if (!(value instanceof StoredTensor)) throw new Error(`${name} is no tensor`);
    const entry = file.entryOf(value);
    const { dtype, shape, data } = entry;
    const values = dtype === "F16" || dtype === "BF16" ? [...data] : [...asTypedArray(entry)];
    return [name, { dtype, shape, values }];
  });
  return Object.fromEntries(tensors);
}

describe("files that torch.save wrote", () => {
  it("give a state dict, its tensors as views of the file", async () => {
    const file = await readPth(path("state"));
    const state = dictionary(file.value);
    expect(tensorsIn(file, state)).toEqual(STATE);
    expect([...state.keys()]).toEqual(Object.keys(STATE));
    const tensor = state.get("conv.weight");
    expect(tensor instanceof StoredTensor && file.entryOf(tensor).data.buffer.byteLength).toBe(
      bytesOf("state").byteLength,
    );
  });

  it("give a checkpoint's numbers beside its state", async () => {
    const file = await readPth(path("checkpoint"));
    const checkpoint = dictionary(file.value);
    expect([checkpoint.get("acc"), checkpoint.get("epoch")]).toEqual([91.25, 7]);
    expect(tensorsIn(file, dictionary(checkpoint.get("net")))).toEqual(STATE);
  });

  it("are read in the format before the zip's too, with tensors that share a storage", async () => {
    const file = await readPth(path("legacy"));
    const saved = dictionary(file.value);
    expect(tensorsIn(file, dictionary(saved.get("net")))).toEqual(STATE);
    const shared = new Map([["shared", saved.get("shared") ?? null]]);
    expect(tensorsIn(file, shared)).toEqual({ shared: { dtype: "F32", shape: [4], values: [2, 3, 4, 5] } });
  });

  it("give every dtype that safetensors has", async () => {
    const file = await readPth(path("dtypes"));
    const tensors = tensorsIn(file, dictionary(file.value));
    const numbers = (dtype: string) => ({ dtype, shape: [3], values: [0, 1, 2] });
    expect(tensors).toEqual({
      float64: numbers("F64"),
      float32: numbers("F32"),
      float16: { dtype: "F16", shape: [3], values: [0, 0, 0x00, 0x3c, 0x00, 0x40] },
      bfloat16: { dtype: "BF16", shape: [3], values: [0, 0, 0x80, 0x3f, 0x00, 0x40] },
      int64: { dtype: "I64", shape: [3], values: [0n, 1n, 2n] },
      int32: numbers("I32"),
      int16: numbers("I16"),
      int8: numbers("I8"),
      uint8: numbers("U8"),
      bool: { dtype: "BOOL", shape: [3], values: [0, 1, 1] },
    });
  });

  it("give views of any strides row-major, and plain values as they are", async () => {
    const file = await readPth(path("views"));
    const { nested, ...tensors } = Object.fromEntries(dictionary(file.value)) as Record<string, PickleValue>;
    const float = (shape: number[], values: number[]) => ({ dtype: "F32", shape, values });
    expect(tensorsIn(file, new Map(Object.entries(tensors)))).toEqual({
      transposed: float([3, 2], [0, 3, 1, 4, 2, 5]),
      column: float([2], [1, 4]),
      row: float([3], [3, 4, 5]),
      scalar: float([], [2.5]),
      empty: float([0, 3], []),
      expanded: float([3, 2], [1, 2, 1, 2, 1, 2]),
      parameter: float([2], [0.5, -0.5]),
    });
    expect(Object.fromEntries(dictionary(nested))).toEqual({
      list: [1, 2.5, null, true, "text", 2n ** 70n],
      tuple: [1, [2]],
    });
  });

  it("give the plain data that training scripts put beside the weights, numpy's included", async () => {
    const file = await readPth(path("training"));
    const { model, args, history, when, took, slice, decimal, dtype, ...rest } = Object.fromEntries(
      dictionary(file.value),
    ) as Record<string, PickleValue>;
    expect(Object.keys(tensorsIn(file, dictionary(model)))).toEqual(
      Object.keys(STATE).map((name) => `_orig_mod.module.${name}`),
    );
    expect(rest).toMatchObject({
      best_acc: 91.25,
      epoch: 7,
      best: new Map([["top1", [1]]]),
      counts: new Map(Object.entries({ a: 2, b: 1 })),
      recent: [1, 2],
      seen: new Set([1, 2]),
      frozen: new Set([3]),
      size: [2, 3],
      device: "cuda:0",
      complex: { re: 1, im: -2 },
    });
    expect(rest.version).toMatch(/^\d+\.\d+\.\d+/);
    expect(args).toMatchObject({ name: "argparse.Namespace" });
    expect((args as Inert).state).toEqual(
      new Map(Object.entries({ lr: 0.1, data: "/data/cifar", betas: [0.9, 0.999] })),
    );
    expect(history).toMatchObject({ dtype: "f4", shape: [2, 3] });
    for (const value of [when, took, slice, decimal]) expect(value).toBeInstanceOf(Inert);
    expect(dtype).toBeInstanceOf(PickleGlobal);
  });

  it("are told by their beginnings", () => {
    for (const name of ["state", "legacy", "module"]) expect(isPth(bytesOf(name).subarray(0, 32))).toBe(true);
    expect(isPth(new TextEncoder().encode('........{"__metadata__":{}}'))).toBe(false);
    expect(isPth(new Uint8Array(0))).toBe(false);
  });

  it("are refused with the class's name when they hold a whole module, not its state", async () => {
    await expect(readPth(path("module"))).rejects.toThrow(UserError);
    await expect(readPth(path("module"))).rejects.toThrow(
      /received the class or function "torch\.nn\.modules\.container\.Sequential"; in Python, save the state alone: torch\.save\(model\.state_dict\(\), FILE\)/,
    );
  });
});

interface Entry {
  name: string;
  content: Uint8Array;
  method?: number;
  size?: number;
  crc?: number;
  /** The entry whose place in the file this one claims as its own. */
  within?: string;
}

/** A zip archive, made by hand so that it can be wrong. */
function zipOf(entries: Entry[]) {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  const places = new Map<string, number>();
  let offset = 0;
  for (const { name, content, method = 0, size = content.length, crc = 0, within } of entries) {
    const shared = Buffer.alloc(26);
    shared.writeUInt16LE(20, 0);
    shared.writeUInt16LE(method, 4);
    shared.writeUInt32LE(crc, 10);
    shared.writeUInt32LE(content.length, 14);
    shared.writeUInt32LE(size, 18);
    shared.writeUInt16LE(name.length, 22);
    const local = Buffer.concat([Buffer.from("PK\x03\x04", "latin1"), shared, Buffer.from(name), content]);
    const tail = Buffer.alloc(14);
    const start = places.get(within ?? "") ?? offset;
    tail.writeUInt32LE(start, 10);
    directory.push(Buffer.concat([Buffer.from("PK\x01\x02\x14\0", "latin1"), shared, tail, Buffer.from(name)]));
    if (within !== undefined) continue;
    parts.push(local);
    places.set(name, offset);
    offset += local.length;
  }
  const size = directory.reduce((sum, { length }) => sum + length, 0);
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06", "latin1");
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(size, 12);
  end.writeUInt32LE(offset, 16);
  return new Uint8Array(Buffer.concat([...parts, ...directory, end]));
}

const CRC_TABLE = Array.from({ length: 256 }, (_, n) => {
  let value = n;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value >>> 0;
});

function crcOf(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (CRC_TABLE[(crc ^ byte) & 0xff] ?? 0) ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

const text = (content: string) => Buffer.from(content, "latin1");
const entry = (name: string, content: Uint8Array) => ({ name, content, crc: crcOf(content) });
const version = entry("a/version", text("3\n"));

/** A pickle of one float32 tensor, its numbers written in protocol 0. */
function tensorPickle({ key = "0", elements = 4, offset = 0, shape = [4], strides = [1], metadata = "" } = {}): Buffer {
  const tuple = (values: number[]) => `(${values.map((value) => `I${value}\n`).join("")}t`;
  const id = `(Vstorage\nctorch\nFloatStorage\nV${key}\nVcpu\nI${elements}\ntQ`;
  const hooks = "ccollections\nOrderedDict\n)R";
  return text(
    `}Vt\nctorch._utils\n_rebuild_tensor_v2\n(${id}I${offset}\n${tuple(shape)}${tuple(strides)}\x89${hooks}${metadata}tRs.`,
  );
}

const storage = entry("a/data/0", Buffer.from(Float32Array.of(1, 2, 3, 4).buffer));

async function load(bytes: Uint8Array) {
  const file = await parsePth(bytes, "x.pth");
  return tensorsIn(file, dictionary(file.value));
}

const loadPickle = (pickle: Uint8Array) => load(zipOf([entry("a/data.pkl", pickle), version, storage]));

describe("an archive", () => {
  it("of the tests' own making is read", async () => {
    expect(await loadPickle(tensorPickle())).toEqual({ t: { dtype: "F32", shape: [4], values: [1, 2, 3, 4] } });
    const matrix = tensorPickle({ offset: 1, shape: [2, 2], strides: [1, 1] });
    expect((await loadPickle(matrix)).t.values).toEqual([2, 3, 3, 4]);
  });

  it("may have deflated entries", async () => {
    const content = Buffer.from(new Float32Array(1000).fill(7).buffer);
    const packed = { name: "a/data/0", content: deflateRawSync(content), method: 8, size: 4000, crc: crcOf(content) };
    const pickle = entry("a/data.pkl", tensorPickle({ elements: 1000, shape: [1000] }));
    expect((await load(zipOf([pickle, version, packed]))).t.values).toEqual(new Array(1000).fill(7));
    await expect(load(zipOf([pickle, version, { ...packed, size: 4004 }]))).rejects.toThrow("4004 bytes in");
    await expect(load(zipOf([pickle, version, { ...packed, crc: 1 }]))).rejects.toThrow("with their checksum");
    const bomb = { ...packed, size: 2 ** 31 };
    await expect(load(zipOf([pickle, version, bomb]))).rejects.toThrow("bytes once inflated");
    await expect(load(zipOf([pickle, version, { ...packed, method: 14 }]))).rejects.toThrow("stored or deflated");
  });

  it.each([
    ["a storage that isn't there", { key: "7" }, 'the storage "7"'],
    ["a storage outside the folder", { key: "../../peekaboo/x" }, 'the storage "../../peekaboo/x"'],
    ["more elements than the storage has", { elements: 5, shape: [5] }, '20 bytes in storage "0"'],
    ["an offset beyond the end", { offset: 1 }, "a tensor within its storage of 4 elements"],
    ["strides beyond the end", { shape: [2, 2], strides: [3, 1] }, "one that reaches element 4"],
    ["negative strides", { strides: [-1] }, "strides of at least 0"],
    ["a negative size", { shape: [-4] }, "sizes of at least 0"],
    ["as many strides as it has no sizes", { shape: [2, 2] }, "as many strides as sizes"],
    ["more elements than numbers", { shape: [2 ** 30, 2 ** 30], strides: [0, 0] }, "fewer than 2^53 bytes"],
    ["an expansion beyond its file's size", { shape: [2 ** 30], strides: [0] }, "bytes in tensors that share elements"],
    ["a lazy conjugate", { metadata: "}Vconj\n\x88s" }, "without lazy conjugation"],
  ])("is refused with %s", async (_, pickle, words) => {
    await expect(loadPickle(tensorPickle(pickle))).rejects.toThrow(UserError);
    await expect(loadPickle(tensorPickle(pickle))).rejects.toThrow(words);
  });

  it("is refused when it is no archive of torch.save's, damaged or of another byte order", async () => {
    const pickle = entry("a/data.pkl", tensorPickle());
    await expect(load(zipOf([version, storage]))).rejects.toThrow("an entry data.pkl");
    await expect(load(zipOf([pickle, storage]))).rejects.toThrow("the entry version");
    await expect(load(zipOf([pickle, version, version]))).rejects.toThrow("each entry's name once");
    const big = entry("a/byteorder", text("big"));
    await expect(load(zipOf([pickle, version, big, storage]))).rejects.toThrow("little-endian storages");
    const damaged = { ...storage, content: Buffer.from(Float32Array.of(1, 2, 3, 5).buffer) };
    await expect(load(zipOf([pickle, version, damaged]))).rejects.toThrow("with their checksum");
    const whole = zipOf([pickle, version, storage]);
    await expect(load(whole.subarray(0, -1))).rejects.toThrow("a whole zip archive");
    await expect(load(new Uint8Array(100))).rejects.toThrow("a zip archive or a pickle that torch.save wrote");
  });

  it("is refused when entries overlap so that reading it would never end", async () => {
    const keys = Array.from({ length: 40 }, (_, key) => `${key}`);
    const large = entry("a/data/0", Buffer.from(new Float32Array(4000).fill(7).buffer));
    const shape = { elements: 4000, shape: [4000] };
    const pickle = (own: readonly string[]) => {
      const items = own.map((key) =>
        tensorPickle({ key, ...shape })
          .toString("latin1")
          .slice(1, -1),
      );
      return entry("a/data.pkl", text(`}${items.map((item, i) => item.replace("Vt", `V${i}`)).join("")}.`));
    };
    expect(Object.keys(await load(zipOf([large, version, pickle(["0", "0"])])))).toHaveLength(2);
    const others = keys.slice(1).map((key) => ({ ...large, name: `a/data/${key}`, within: "a/data/0" }));
    const archive = zipOf([large, ...others, version, pickle(keys)]);
    await expect(load(archive)).rejects.toThrow("bytes in its entries together");
  });
});

describe("a file of before the zip format", () => {
  it.each([
    [200, "cut in its object"],
    [1400, "cut in a storage"],
  ])("is refused when cut at byte %d: %s", async (length) => {
    const cut = bytesOf("legacy").subarray(0, length);
    await expect(parsePth(cut, "x.pth")).rejects.toThrow(UserError);
    await expect(parsePth(cut, "x.pth")).rejects.toThrow("; the file is damaged or not in this format");
  });

  it("is refused with another protocol or byte order", async () => {
    const legacy = Buffer.from(bytesOf("legacy"));
    const at = legacy.indexOf("little_endian") + 15;
    expect(legacy[at]).toBe(0x88);
    legacy[at] = 0x89;
    await expect(parsePth(legacy, "x.pth")).rejects.toThrow("a file of a little-endian machine");
    const other = Buffer.from(bytesOf("legacy"));
    other[other.indexOf(Buffer.of(0x4d, 0xe9, 0x03)) + 1] = 0xea;
    await expect(parsePth(other, "x.pth")).rejects.toThrow("PyTorch's protocol 1001");
  });
});
