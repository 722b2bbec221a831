import { readFileSync } from "node:fs";
import { crc32 } from "node:zlib";
import { UserError } from "@peekaboo/files/errors";
import { numel } from "@peekaboo/files/safetensors";
import { describe, expect, it } from "vitest";
import { storageOf, torchGlobals } from "./globals.js";
import { unpickle } from "./pickle/unpickle.js";
import { parsePth } from "./read.js";
import { StoredTensor } from "./tensor.js";

type Random = (below: number) => number;

/** Xorshift32 (Marsaglia 2003): the same inputs on every machine. */
function generator(seed: number): Random {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

const fixture = (name: string) => readFileSync(new URL(`./fixtures/${name}.pth`, import.meta.url));

/** The opcodes that make, call and refer to things, and lengths at the edges of what numbers hold. */
const PIECES = [
  ..."().]}etsublRcoqhjrQPb02",
  ..."\x80\x81\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f\x90\x91\x92\x93\x94\x95\x96",
  "X\xff\xff\xff\x7f",
  "\x8e\xff\xff\xff\xff\xff\xff\xff\x7f",
  "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f",
  "J\xff\xff\xff\xff",
  "J\xff\xff\xff\x7f",
  "K\0",
  "K\x04",
  "cos\nsystem\n",
  "ctorch._utils\n_rebuild_tensor_v2\n",
  "ccollections\nOrderedDict\n",
  "ccollections\ndeque\n",
  "cbuiltins\nset\n",
  "cargparse\nNamespace\n",
  "cnumpy.core.multiarray\nscalar\n",
  "cnumpy._core.multiarray\n_reconstruct\n",
  "cnumpy._core.numeric\n_frombuffer\n",
  "cnumpy\nndarray\n",
  "cnumpy\ndtype\n(Vf8\nI0\nI1\ntR",
  "h\0",
  "h\x02q\x03",
].map((piece) => Buffer.from(piece, "latin1"));

function mutate(bytes: Buffer, random: Random): Buffer {
  const at = random(bytes.length);
  const splice = (inserted: Uint8Array, removed: number) =>
    Buffer.concat([bytes.subarray(0, at), inserted, bytes.subarray(at + removed)]);
  const piece = PIECES[random(PIECES.length)] ?? Buffer.alloc(0);
  switch (random(6)) {
    case 0:
      return splice(Buffer.of((bytes[at] ?? 0) ^ (1 << random(8))), 1);
    case 1:
      return splice(Buffer.of(random(256)), 1);
    case 2:
      return splice(piece, 0);
    case 3:
      return splice(piece, piece.length);
    case 4:
      return splice(bytes.subarray(random(bytes.length)).subarray(0, random(40)), random(12));
    default:
      return random(4) === 0 ? bytes.subarray(0, at) : splice(Buffer.alloc(0), 1 + random(6));
  }
}

/** The archive with its data.pkl replaced, checksum and all; of equal length, so that nothing else moves. */
function withPickle(archive: Buffer, pickle: Buffer, { start, length }: { start: number; length: number }): Buffer {
  const fitted = Buffer.alloc(length, ".");
  pickle.copy(fitted, 0, 0, length);
  const result = Buffer.from(archive);
  fitted.copy(result, start);
  result.writeUInt32LE(crc32(fitted), archive.indexOf("PK\x01\x02", 0, "latin1") + 16);
  return result;
}

function pickleIn(archive: Buffer): { start: number; length: number } {
  const directory = archive.indexOf("PK\x01\x02", 0, "latin1");
  const start = 30 + archive.readUInt16LE(26) + archive.readUInt16LE(28);
  return { start, length: archive.readUInt32LE(directory + 24) };
}

/** Reads a file and every tensor in its outer two levels; what must hold of any that is accepted is checked. */
async function readAll(bytes: Uint8Array): Promise<"accepted"> {
  const file = await parsePth(bytes, "mutated");
  const items = file.value instanceof Map ? [...file.value.values()] : [];
  const inner = items.flatMap((item) => (item instanceof Map ? [...item.values()] : [item]));
  for (const item of inner) {
    if (!(item instanceof StoredTensor)) continue;
    const { shape, data } = file.entryOf(item);
    const elements = numel(shape);
    expect(data.byteLength % Math.max(1, elements)).toBe(0);
    expect(data.byteLength).toBeLessThan(2 ** 21);
  }
  return "accepted";
}

interface Outcome {
  reasons: Set<string>;
  accepted: number;
  slowest: number;
}

async function fuzz(
  inputs: number,
  make: (random: Random) => Buffer,
  read: (bytes: Buffer) => unknown,
): Promise<Outcome> {
  const random = generator(0x5eed);
  const outcome: Outcome = { reasons: new Set(), accepted: 0, slowest: 0 };
  for (let input = 0; input < inputs; input++) {
    const bytes = make(random);
    const begun = performance.now();
    try {
      await read(bytes);
      outcome.accepted++;
    } catch (error) {
      if (!(error instanceof UserError))
        throw new Error(`not a UserError, from input ${input}: ${bytes.toString("base64")}`, { cause: error });
      outcome.reasons.add(error.message.replace(/ for .*/, "").replaceAll(/\d+/g, "N"));
    }
    outcome.slowest = Math.max(outcome.slowest, performance.now() - begun);
  }
  return outcome;
}

function mutated(original: Buffer, random: Random): Buffer {
  let bytes = original;
  for (let count = 1 + random(3); count > 0 && bytes.length > 0; count--) bytes = mutate(bytes, random);
  return bytes;
}

// A slow machine pauses; what must not happen takes minutes.
const TOO_LONG = 5000;

describe("mutated files are refused by a UserError or wholly valid, in little time and memory", () => {
  it("as pickles", async () => {
    const archive = fixture("views");
    const { start, length } = pickleIn(archive);
    const pickle = archive.subarray(start, start + length);
    const options = { source: "mutated", globals: torchGlobals, persistentLoad: storageOf };
    const read = (bytes: Buffer) => unpickle(bytes, options);
    expect(read(pickle).end).toBe(length);
    const { reasons, accepted, slowest } = await fuzz(6000, (random) => mutated(pickle, random), read);
    expect(reasons.size).toBeGreaterThan(40);
    expect(accepted).toBeGreaterThan(200);
    expect(accepted).toBeLessThan(3000);
    expect(slowest).toBeLessThan(TOO_LONG);
  });

  it("as pickles of numpy's and other plain data", async () => {
    const { pickles } = JSON.parse(readFileSync(new URL("./pickle/fixtures/numpy-2.json", import.meta.url), "utf8"));
    const archive = fixture("training");
    const { start, length } = pickleIn(archive);
    const originals = [archive.subarray(start, start + length)].concat(
      ["2", "5"].map((protocol) => Buffer.from(pickles[protocol], "base64")),
    );
    const options = { source: "mutated", globals: torchGlobals, persistentLoad: storageOf };
    const read = (bytes: Buffer) => unpickle(bytes, options);
    for (const original of originals) {
      expect(read(original).end).toBe(original.length);
      const { reasons, accepted, slowest } = await fuzz(3000, (random) => mutated(original, random), read);
      expect(reasons.size).toBeGreaterThan(30);
      expect(accepted).toBeGreaterThan(100);
      expect(slowest).toBeLessThan(TOO_LONG);
    }
  });

  it("as archives with a mutated pickle and a right checksum", async () => {
    const archive = fixture("checkpoint");
    const place = pickleIn(archive);
    const pickle = archive.subarray(place.start, place.start + place.length);
    expect(await readAll(withPickle(archive, pickle, place))).toBe("accepted");
    const make = (random: Random) => withPickle(archive, mutate(pickle, random), place);
    const { reasons, accepted, slowest } = await fuzz(1500, make, readAll);
    expect(reasons.size).toBeGreaterThan(25);
    expect(accepted).toBeGreaterThan(100);
    expect(slowest).toBeLessThan(TOO_LONG);
  });

  it("as archives", async () => {
    const archive = fixture("state");
    const { reasons, accepted, slowest } = await fuzz(2000, (random) => mutated(archive, random), readAll);
    expect(reasons.size).toBeGreaterThan(6);
    expect(accepted).toBeGreaterThan(50);
    expect(accepted).toBeLessThan(1500);
    expect(slowest).toBeLessThan(TOO_LONG);
  });

  it("as files of before the zip format", async () => {
    const legacy = fixture("legacy");
    expect(await readAll(legacy)).toBe("accepted");
    const { reasons, accepted, slowest } = await fuzz(3000, (random) => mutated(legacy, random), readAll);
    expect(reasons.size).toBeGreaterThan(40);
    expect(accepted).toBeGreaterThan(100);
    expect(slowest).toBeLessThan(TOO_LONG);
  });
});
