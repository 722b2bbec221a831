import { readdirSync, readFileSync } from "node:fs";
import { crc32, gzipSync } from "node:zlib";
import { readSafetensors, readSafetensorsHeader } from "@peekaboo/files";
import { encodeSafetensors, type TensorEntry } from "@peekaboo/files/safetensors";
import { parsePth, StoredTensor, storageOf, torchGlobals } from "@peekaboo/pth";
import { unpickle } from "@peekaboo/pth/pickle";
import sharp from "sharp";
import { Header } from "tar";
import { loadNetwork } from "#peekaboo/checkpoint/checkpoint";
import { readCheckpoint } from "#peekaboo/checkpoint/format";
import { inspectFile } from "#peekaboo/checkpoint/inspect";
import { findState } from "#peekaboo/checkpoint/state-file";
import { parseConfig } from "#peekaboo/config/config";
import { readFiles } from "#peekaboo/data/fetch/files";
import { decodeCifarBinary } from "#peekaboo/data/formats/cifar-binary";
import { decodeCifarPython } from "#peekaboo/data/formats/cifar-python";
import { decodeIdx } from "#peekaboo/data/formats/idx";
import { decodePngSheets } from "#peekaboo/data/formats/png-sheets";
import { decodeImage } from "#peekaboo/data/image-folder/decode";
import { readMetrics } from "#peekaboo/runs/metrics";
import { mutated, mutatedJson } from "./mutations.js";
import { pabTargets } from "./pab-targets.js";
import { oneOf, type Random } from "./random.js";
import { FREE_BYTES, type Target } from "./target.js";

const sources = new URL("../../../packages/pth/src/", import.meta.url);

/** Mutations of one of `seeds`, spliced with another. */
const from = (seeds: readonly Buffer[]) => (random: Random) =>
  mutated(oneOf(random, seeds), oneOf(random, seeds), random);

// ---- safetensors and checkpoints -----------------------------------------------------------------------------------

const plainState: [string, TensorEntry][] = [
  ["conv.weight", { dtype: "F32", shape: [2, 3], data: new Uint8Array(24).fill(0x3f) }],
  ["mask", { dtype: "BOOL", shape: [5], data: Uint8Array.of(1, 0, 1, 1, 0) }],
  ["step", { dtype: "I64", shape: [], data: new Uint8Array(8) }],
  ["none", { dtype: "F16", shape: [0, 4], data: new Uint8Array() }],
];
const plainFile = Buffer.concat(encodeSafetensors(plainState, { format: "pt", epoch: "3" }));

/** A safetensors file whose header was mutated as text, its length field kept true so that the edit is reached. */
function withMutatedHeader(file: Buffer, random: Random): Buffer {
  const end = 8 + Number(file.readBigUInt64LE());
  const header = mutated(file.subarray(8, end), file.subarray(8, end), random);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, header, file.subarray(end)]);
}

const safetensors: Target = {
  name: "safetensors",
  share: 1.5,
  make: (random) => (random(3) === 0 ? from([plainFile])(random) : withMutatedHeader(plainFile, random)),
  parse: (_, path) => {
    readSafetensorsHeader(path);
    readSafetensors(path);
  },
};

/** A checkpoint with one of its metadata's JSON texts mutated as a value. */
function withMutatedMetadata(file: Buffer, path: string, random: Random): Buffer {
  const { tensors, metadata } = readSafetensors(path);
  const { length } = file;
  const keys = Object.keys(metadata);
  const key = oneOf(random, keys);
  let changed = metadata[key] ?? "";
  try {
    changed = JSON.stringify(mutatedJson(JSON.parse(changed), random)) ?? String(length);
  } catch {
    changed = mutated(Buffer.from(changed), Buffer.from(changed), random).toString("latin1");
  }
  return Buffer.concat(encodeSafetensors(tensors, { ...metadata, [key]: changed }));
}

/** Checkpoints and pruned files, as a small run wrote them. */
function checkpoints(paths: readonly string[]): Target {
  const seeds = paths.map((path) => ({ path, file: readFileSync(path) }));
  const files = seeds.map(({ file }) => file);
  return {
    name: "checkpoints",
    share: 1,
    make: (random) => {
      const { path, file } = oneOf(random, seeds);
      const way = random(3);
      if (way === 0) return from(files)(random);
      return way === 1 ? withMutatedHeader(file, random) : withMutatedMetadata(file, path, random);
    },
    parse: (_, path) => {
      // All three must refuse or accept by themselves.
      const errors = [readCheckpoint, inspectFile, (file: string) => loadNetwork(file).network.dispose()].flatMap(
        (read) => {
          try {
            read(path);
            return [];
          } catch (error) {
            return [error];
          }
        },
      );
      const worst = errors.find((error) => !(error instanceof Error) || error.name !== "UserError") ?? errors[0];
      if (worst !== undefined) throw worst;
    },
    // Read three times; and a network is built for one that is accepted.
    memory: (bytes) => 6 * bytes + 2 ** 24,
  };
}

// ---- PyTorch -------------------------------------------------------------------------------------------------------

const fixtures = new URL("fixtures/", sources);
const pthFiles = readdirSync(fixtures)
  .filter((name) => name.endsWith(".pth"))
  .map((name) => readFileSync(new URL(name, fixtures)));
const archives = pthFiles.filter((file) => file.toString("latin1", 0, 2) === "PK");
const legacy = pthFiles.filter((file) => file.toString("latin1", 0, 2) !== "PK");

/** Where the first entry, data.pkl, lies in an archive. */
function pickleSpan(archive: Buffer): { start: number; length: number } {
  const directory = archive.indexOf("PK\x01\x02", 0, "latin1");
  const start = 30 + archive.readUInt16LE(26) + archive.readUInt16LE(28);
  return { start, length: archive.readUInt32LE(directory + 24) };
}

const pickles = archives.map((archive) => {
  const { start, length } = pickleSpan(archive);
  return archive.subarray(start, start + length);
});
const protocols: Record<string, string> = JSON.parse(
  readFileSync(new URL("pickle/fixtures/protocols.json", sources), "utf8"),
);
const numpyPickles = [1, 2].flatMap((version): string[] => {
  const { pickles } = JSON.parse(readFileSync(new URL(`pickle/fixtures/numpy-${version}.json`, sources), "utf8"));
  return Object.values(pickles);
});
const plainPickles = [...Object.values(protocols), ...numpyPickles].map((base64) => Buffer.from(base64, "base64"));

/** An archive whose pickle was mutated, with a right checksum and of equal length, so that nothing else moves. */
function withMutatedPickle(archive: Buffer, random: Random): Buffer {
  const { start, length } = pickleSpan(archive);
  const fitted = Buffer.alloc(length, ".");
  mutated(archive.subarray(start, start + length), oneOf(random, pickles), random).copy(fitted, 0, 0, length);
  const result = Buffer.from(archive);
  fitted.copy(result, start);
  result.writeUInt32LE(crc32(fitted), archive.indexOf("PK\x01\x02", 0, "latin1") + 16);
  return result;
}

async function readWholePth(bytes: Buffer, path: string): Promise<void> {
  const file = await parsePth(bytes, path);
  const items = file.value instanceof Map ? [...file.value.values()] : [];
  for (const item of items.flatMap((item) => (item instanceof Map ? [...item.values()] : [item]))) {
    if (item instanceof StoredTensor) file.entryOf(item);
  }
}

// Its own rule: what is copied or inflated may exceed the file by a mebibyte each, and tensors by twice the file.
const pthMemory = (bytes: number) => 4 * bytes + 2 ** 21 + 2 ** 20;

const pytorch: readonly Target[] = [
  {
    name: "PyTorch zip",
    share: 1.5,
    make: (random) => (random(2) === 0 ? from(archives)(random) : withMutatedPickle(oneOf(random, archives), random)),
    parse: readWholePth,
    memory: pthMemory,
  },
  { name: "PyTorch legacy", share: 1, make: from(legacy), parse: readWholePth, memory: pthMemory },
  {
    name: "PyTorch state files",
    share: 0.5,
    make: from([...pthFiles, plainFile]),
    parse: (_, path) => findState(path, new Set(["conv.weight", "bn.weight", "linear.bias"])),
    memory: pthMemory,
  },
  {
    name: "pickle",
    share: 1.5,
    make: from([...pickles, ...plainPickles]),
    parse: (bytes) => unpickle(bytes, { source: "input", globals: torchGlobals, persistentLoad: storageOf }),
  },
];

// ---- Data sets -----------------------------------------------------------------------------------------------------

const grey = { height: 2, width: 3, channels: 1 } as const;
const idxLayout = {
  image: grey,
  files: { train: { images: "i", labels: "l" }, test: { images: "I", labels: "L" } },
};

function idx(shape: readonly number[], content: number): Buffer {
  const header = Buffer.alloc(4 + 4 * shape.length);
  header.writeUInt32BE(0x800 + shape.length);
  for (const [axis, size] of shape.entries()) header.writeUInt32BE(size, 4 + 4 * axis);
  return Buffer.concat([header, Buffer.alloc(content, 7)]);
}
const idxImages = idx([4, 2, 3], 24);
const idxLabels = idx([4], 4);

const idxTarget: Target = {
  name: "IDX",
  share: 1,
  make: from([idxImages, idxLabels]),
  parse: async (bytes) => {
    const good = [
      ["i", idxImages],
      ["l", idxLabels],
      ["I", idxImages],
      ["L", idxLabels],
    ] as const;
    const parsed = await Promise.allSettled(
      good.map(([name]) => decodeIdx(new Map([...good, [name, bytes]]), idxLayout)),
    );
    for (const result of parsed) if (result.status === "rejected") throw result.reason;
  },
};

const colour = { height: 2, width: 2, channels: 3 };
const binaryLayout = { image: colour, labelBytes: 1, batches: { train: ["one.bin"], test: ["test.bin"] } };
const LIMIT = 4096;

function tar(entries: readonly (readonly [string, Uint8Array])[]): Buffer {
  const blocks = entries.flatMap(([path, content]) => {
    const header = new Header({ path, type: "File", size: content.length, mode: 0o644 });
    header.encode();
    return [header.block ?? Buffer.alloc(0), content, Buffer.alloc(-content.length & 511)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

const records = Buffer.alloc(3 * 13, 3);
const plainTar = tar([
  ["batches/one.bin", records],
  ["batches/readme.html", Buffer.from("hello")],
  ["batches/test.bin", records],
  ["batches/two.bin.gz", gzipSync(records)],
]);
const limits = { "one.bin": LIMIT, "test.bin": LIMIT, "two.bin": LIMIT };

/** The tar's header checksums made right again after a mutation, so that the fields behind them are reached. */
function withChecksums(archive: Buffer): Buffer {
  const result = Buffer.from(archive);
  for (let at = 0; at + 512 <= result.length; at += 512) {
    if (result.toString("latin1", at + 257, at + 262) !== "ustar") continue;
    result.fill(" ", at + 148, at + 156);
    const sum = result.subarray(at, at + 512).reduce((total, byte) => total + byte, 0);
    result.write(`${sum.toString(8).padStart(6, "0")}\0 `, at + 148, "latin1");
  }
  return result;
}

const cifarArchive: Target = {
  name: "CIFAR binary archives",
  share: 1,
  make: (random) => {
    if (random(3) === 0) return from([gzipSync(plainTar)])(random);
    const archive = withChecksums(from([plainTar])(random));
    return random(2) === 0 ? archive : gzipSync(archive);
  },
  parse: async (_, path) => decodeCifarBinary(await readFiles(path, limits), binaryLayout),
  // Buffers for each piece of the stream are counted though they aren't held together: claims.ts watches the process's size.
  memory: (bytes) => 128 * bytes + 8 * LIMIT + 4 * 2 ** 20,
};

/** A batch as Python 2 wrote CIFAR's: see packages/peekaboo/src/data/formats/cifar-python.test.ts. */
const pythonBatch = Buffer.from(
  "\x80\x02}q\x01(U\x0bbatch_labelU\x04nameU\x06labels](K\x07K\x08eU\x04data" +
    "cnumpy.core.multiarray\n_reconstruct\nq\x02cnumpy\nndarray\nq\x03K\0\x85U\x01b\x87Rq\x04" +
    "(K\x01K\x02K\x0c\x86cnumpy\ndtype\nq\x05U\x02u1K\0K\x01\x87Rq\x06" +
    "(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89T\x18\0\0\0abcdefghijklmnopqrstuvwxtb" +
    "U\x09filenames]U\x09a_b_c.pngau.",
  "latin1",
);

const cifarPython: Target = {
  name: "CIFAR python batches",
  share: 1.5,
  make: from([pythonBatch]),
  parse: (bytes) =>
    decodeCifarPython(
      new Map([
        ["a", bytes],
        ["t", pythonBatch],
      ]),
      {
        image: colour,
        batches: { train: ["a"], test: ["t"] },
        labelsKey: "labels",
      },
    ),
};

const pixels = Buffer.from(Array.from({ length: 5 * 4 * 3 }, (_, i) => (i * 37) % 256));
const sheet = await sharp(pixels, { raw: { width: 4, height: 5, channels: 3 } })
  .png()
  .toBuffer();
const labels = Buffer.from("[0, 1, 2, 3, 255]");
const sheetLayout = {
  image: colour,
  sheets: { train: { images: ["s"], labels: "l" }, test: { images: ["t"], labels: "m" } },
};

/** The chunks' checksums of a PNG file made right again. */
function withChunkChecksums(png: Buffer): Buffer {
  const result = Buffer.from(png);
  for (let at = 8; at + 12 <= result.length; ) {
    const length = result.readUInt32BE(at);
    if (at + 12 + length > result.length) break;
    result.writeUInt32BE(crc32(result.subarray(at + 4, at + 8 + length)), at + 8 + length);
    at += 12 + length;
  }
  return result;
}

const mutatedPng = (seeds: readonly Buffer[]) => (random: Random) => {
  const png = from(seeds)(random);
  return random(2) === 0 ? png : withChunkChecksums(png);
};

const pngSheets: Target = {
  name: "PNG sheets",
  share: 0.75,
  make: (random) => (random(3) === 0 ? from([labels])(random) : mutatedPng([sheet])(random)),
  parse: async (bytes) => {
    const good = [
      ["s", sheet],
      ["l", labels],
      ["t", sheet],
      ["m", labels],
    ] as const;
    const name = bytes[0] === 0x89 ? "s" : "l";
    return decodePngSheets(new Map([...good, [name, bytes]]), sheetLayout);
  },
  // The sheet's pixels come from libvips; what a claim may ask of it is the business of claims.ts.
  memory: (bytes) => 2 * bytes + 2 ** 20,
};

const photo = sharp({ create: { width: 24, height: 20, channels: 3, background: "#a63" } });
const photos = await Promise.all([
  photo.clone().jpeg().toBuffer(),
  photo.clone().jpeg({ progressive: true }).withMetadata({ orientation: 6 }).toBuffer(),
  photo.clone().toColourspace("cmyk").jpeg().toBuffer(),
  photo.clone().webp().toBuffer(),
  photo.clone().webp({ lossless: true }).toBuffer(),
  photo.clone().tiff({ compression: "lzw" }).toBuffer(),
  photo.clone().gif().toBuffer(),
  photo.clone().avif().toBuffer(),
]);
/** 4 × 3 pixels of eight bits as run lengths, with a palette of one colour. */
const runs = Buffer.from(
  "BM\0\0\0\0\0\0\0\0:\0\0\0(\0\0\0\x04\0\0\0\x03\0\0\0\x01\0\x08\0\x01".padEnd(46, "\0"),
  "latin1",
);
const drawn = [
  Buffer.concat([
    runs,
    Buffer.from("\x01\0\0\0\0\0\0\0abc\0\x04\0\0\0\0\x03\0\0\0\0\0\x02\x01\0\x02\0\0\x01", "latin1"),
  ]),
  Buffer.concat([Buffer.from("P6 4 3 255\n"), Buffer.alloc(36, 99)]),
  Buffer.from("P3 # digits\n2 2 15\n0 0 0 15 0 15 0 15 7 1 2 3\n"),
  Buffer.from(
    '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><circle cx="4" cy="4" r="3" fill="#a63"/></svg>',
  ),
];
const pngPhotos = await Promise.all([photo.clone().png().toBuffer(), photo.clone().png({ palette: true }).toBuffer()]);

const images: Target = {
  name: "image folder files",
  share: 0.75,
  make: (random) =>
    random(4) === 0 ? mutatedPng(pngPhotos)(random) : from([...photos, ...pngPhotos, ...drawn])(random),
  parse: async (bytes, path) => {
    const kind =
      (bytes.length & 1) === 0 ? ({ kind: "plain" } as const) : ({ kind: "training", seed: 1, epoch: 0 } as const);
    return decodeImage(path, bytes.length, kind, 16);
  },
  // Three bytes for each pixel, of which run lengths may claim a thousand for each byte.
  memory: (bytes) => 3 * 1024 * bytes + 2 ** 20,
  plainErrors: true,
};

// ---- JSON ----------------------------------------------------------------------------------------------------------

const config = JSON.parse(
  JSON.stringify(parseConfig({ arch: "PsgResNet20", pruning: { pruner: "SynFlow", density: 0.3 } })),
);

const configs: Target = {
  name: "configurations",
  share: 1,
  make: (random) => {
    let value: unknown = config;
    for (let count = 1 + random(3); count > 0; count--) value = mutatedJson(value, random);
    return Buffer.from(JSON.stringify(value) ?? "null");
  },
  parse: (bytes) => parseConfig(JSON.parse(bytes.toString())),
};

const metricsText = [
  '{"kind":"prune","epoch":0,"shot":0,"pruner":"Mag","density":0.4,"kept":4,"total":10,"seconds":0.1,"layers":[{"name":"conv1.weight","kept":4,"total":10}]}',
  '{"kind":"step","epoch":0,"step":1,"loss":2.3,"accuracy":12.5,"flips":3,"imagesPerSecond":100.5,"lr":0.1,"ar":0.001}',
  '{"kind":"epoch","epoch":0,"step":1,"loss":2.3,"accuracy":12.5,"flips":3.5,"imagesPerSecond":100,"lr":0.1,"seconds":1.5}',
  '{"kind":"flips","epoch":0,"step":1,"layers":[{"name":"conv1.weight","flips":3,"kept":4}]}',
  '{"kind":"eval","epoch":0,"step":1,"loss":2.2,"accuracy":20,"top5":60,"best":true}',
];
const metricsSeeds = [Buffer.from(`${metricsText.join("\n")}\n`), Buffer.from(metricsText.slice(1).join("\n"))];

const metrics: Target = {
  name: "metrics lines",
  share: 1,
  make: from(metricsSeeds),
  parse: (_, path) => readMetrics(path),
  // Each line is text, then a value; its bytes are read once.
  memory: (bytes) => 4 * bytes + FREE_BYTES,
};

/** All parsers of outside data; `paths` are of valid checkpoints. */
export function targets(paths: readonly string[]): readonly Target[] {
  const files = [idxTarget, cifarArchive, cifarPython, pngSheets, images, configs, metrics];
  return [safetensors, ...pytorch, ...files, ...pabTargets, checkpoints(paths)];
}
