// Files that claim to be huge, and archives with names that lead elsewhere: claims-child.js FOLDER
// Prints a JSON line for each: its name, and what was wrong.
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { crc32, deflateSync, gzipSync } from "node:zlib";
import { readSafetensors } from "@peekaboo/files";
import { UserError } from "@peekaboo/files/errors";
import { unpickle } from "@peekaboo/pth/pickle";
import sharp from "sharp";
import { Header, type types } from "tar";
import { readFiles } from "#peekaboo/data/fetch/files";
import { decodeIdx } from "#peekaboo/data/formats/idx";
import { decodePngSheets } from "#peekaboo/data/formats/png-sheets";
import { decodeImage } from "#peekaboo/data/image-folder/decode";
import { readMetrics } from "#peekaboo/runs/metrics";
import { requestedBytes } from "./allocations.js";

const [folder = ""] = process.argv.slice(2);
const MEBIBYTE = 2 ** 20;
/** Most by which the process may grow for one file: what is asked for outside JavaScript is seen here. */
const GROWTH = 48 * MEBIBYTE;

function safetensors(header: string, length = BigInt(header.length)): Buffer {
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(length);
  return Buffer.concat([prefix, Buffer.from(header)]);
}

function chunk(type: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const result = Buffer.alloc(body.length + 8);
  result.writeUInt32BE(data.length);
  body.copy(result, 4);
  result.writeUInt32BE(crc32(body), body.length + 4);
  return result;
}

/** A PNG file that claims a size and has a few bytes of pixels. */
function png(width: number, height: number): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const signature = Buffer.from("\x89PNG\r\n\x1a\n", "latin1");
  const parts = [chunk("IHDR", header), chunk("IDAT", deflateSync(Buffer.alloc(100))), chunk("IEND", Buffer.alloc(0))];
  return Buffer.concat([signature, ...parts]);
}

interface Entry {
  path: string;
  type?: types.EntryTypeName;
  linkpath?: string;
  size?: number;
  content?: Buffer;
}

function tar(entries: readonly Entry[]): Buffer {
  const blocks = entries.flatMap(({ path, type = "File", linkpath, content = Buffer.alloc(0), size }) => {
    const header = new Header({ path, type, size: size ?? content.length, mode: 0o644, ...(linkpath && { linkpath }) });
    header.encode();
    return [header.block ?? Buffer.alloc(0), content, Buffer.alloc(-content.length & 511)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

/** A gzipped tar of one file of so many mebibytes, made in pieces: this process must stay small. */
function gzipBomb(mebibytes: number): Buffer {
  const header = tar([{ path: "other.bin", size: mebibytes * MEBIBYTE }]).subarray(0, 512);
  const piece = gzipSync(Buffer.alloc(MEBIBYTE));
  return Buffer.concat([gzipSync(header), ...Array<Buffer>(mebibytes).fill(piece), gzipSync(Buffer.alloc(1024))]);
}

const image = { height: 28, width: 28, channels: 1 } as const;
const layout = { image, files: { train: { images: "i", labels: "l" }, test: { images: "i", labels: "l" } } };
const sheets = { train: { images: ["s"], labels: "l" }, test: { images: ["s"], labels: "l" } };
const limits = { "one.bin": 64 * MEBIBYTE };
const pickled = (bytes: Buffer) => unpickle(bytes, { source: "claim", globals: new Map() });
const archived = (_: Buffer, path: string) => readFiles(path, limits);
const sheet = (bytes: Buffer) =>
  decodePngSheets(
    new Map([
      ["s", bytes],
      ["l", Buffer.from("[]")],
    ]),
    { image: { height: 32, width: 32, channels: 3 }, sheets },
  );
const photo = (_: Buffer, path: string) => decodeImage(path, 0, { kind: "plain" }, 32);
const idx = (count: number) =>
  Buffer.from([0, 0, 8, 3, ...[count, 28, 28].flatMap((n) => [n >>> 24, (n >> 16) & 255, (n >> 8) & 255, n & 255])]);
const tensor = (shape: string, end: string) =>
  safetensors(`{"a":{"dtype":"F32","shape":${shape},"data_offsets":[0,${end}]}}`);
const jpegHeader =
  "\xff\xd8\xff\xc0\0\x11\x08\xff\xff\xff\xff\x03\x01\x11\0\x02\x11\0\x03\x11\0\xff\xda\0\x0c\x03\x01\0\x02\0\x03\0\0\x3f\0\xff\xd9";

const CLAIMS: readonly (readonly [string, Buffer, (bytes: Buffer, path: string) => unknown])[] = [
  ["safetensors: a header of 2^64 bytes", safetensors("{}", 2n ** 64n - 1n), (_, path) => readSafetensors(path)],
  ["safetensors: a header of 90 MB", safetensors("{}", 90_000_000n), (_, path) => readSafetensors(path)],
  ["safetensors: 4 TB of data", tensor("[1000000,1000000]", "4000000000000"), (_, path) => readSafetensors(path)],
  ["safetensors: a shape beside a zero", tensor("[0,9007199254740991]", "0"), (_, path) => readSafetensors(path)],
  ["pickle: 2 GiB of text", Buffer.from("\x80\x02X\xff\xff\xff\x7fa.", "latin1"), pickled],
  ["pickle: 2^63 bytes", Buffer.from("\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7fa.", "latin1"), pickled],
  ["pickle: bytearray of 2^40", Buffer.from("\x80\x05\x96\0\0\0\0\0\x01\0\0a.", "latin1"), pickled],
  [
    "pickle: a billion laughs",
    Buffer.from(`\x80\x02]${"]q\x01(h\x01h\x01h\x01h\x01e".repeat(500)}.`, "latin1"),
    pickled,
  ],
  [
    "IDX: 2^32 images",
    idx(0xffffffff),
    (bytes) =>
      decodeIdx(
        new Map([
          ["i", bytes],
          ["l", bytes],
        ]),
        layout,
      ),
  ],
  ["tar: a file of 8 GiB", tar([{ path: "one.bin", size: 8 * 2 ** 30 }]), archived],
  ["tar: a file of 60 MB that isn't there", tar([{ path: "one.bin", size: 60_000_000 }]), archived],
  ["tar: a gzip bomb", gzipBomb(200), archived],
  ["PNG sheet: 2^31 × 2^31", png(0x7fffffff, 0x7fffffff), sheet],
  ["PNG sheet: 1024 × 99,999", png(1024, 99_999), sheet],
  ["photo: PNG of 65,535 × 65,535", png(65_535, 65_535), photo],
  ["photo: JPEG of 65,535 × 65,535", Buffer.from(jpegHeader, "latin1"), photo],
  ["metrics: one line of 8 MB", Buffer.alloc(8_000_000, "1"), (_, path) => readMetrics(path)],
];

const ESCAPES: readonly (readonly [string, readonly Entry[]])[] = [
  [
    "../",
    [
      { path: "../one.bin", content: Buffer.from("x") },
      { path: "../../evil", content: Buffer.from("x") },
    ],
  ],
  [
    "an absolute name",
    [
      { path: join(folder, "evil"), content: Buffer.from("x") },
      { path: "/one.bin", content: Buffer.from("x") },
    ],
  ],
  ["a link to a file", [{ path: "one.bin", type: "SymbolicLink", linkpath: "/etc/passwd" }]],
  ["a hard link", [{ path: "one.bin", type: "Link", linkpath: "/etc/passwd" }]],
  [
    "a link to a folder",
    [
      { path: "in", type: "SymbolicLink", linkpath: folder },
      { path: "in/one.bin", content: Buffer.from("x") },
    ],
  ],
  ["a device", [{ path: "one.bin", type: "CharacterDevice" }]],
  ["a name with a zero byte", [{ path: "../one.bin\0evil", content: Buffer.from("x") }]],
];

const tell = (name: string, wrong?: string) => void process.stdout.write(`${JSON.stringify({ name, wrong })}\n`);
const peak = () => process.resourceUsage().maxRSS * 1024;

/** What is wrong with how a file was taken: anything but success and a typed refusal. */
async function outcome(take: () => unknown, plainErrors: boolean): Promise<string | undefined> {
  try {
    await take();
    return undefined;
  } catch (error) {
    const plain = plainErrors && error instanceof Error && error.constructor === Error;
    return error instanceof UserError || plain ? undefined : String(error);
  }
}

// libvips' own size is nobody's claim.
await sharp({ create: { width: 64, height: 64, channels: 3, background: "#fff" } })
  .png()
  .toBuffer();
for (const [name, bytes, take] of CLAIMS) {
  const path = join(folder, "claim");
  writeFileSync(path, bytes);
  const [requested, before] = [requestedBytes(), peak()];
  let wrong = await outcome(() => take(bytes, path), take === photo);
  const [asked, grown] = [requestedBytes() - requested, peak() - before];
  // What streams through, in pieces, isn't held at once: there, the process's own growth tells.
  const streamed = name.startsWith("metrics") || name.startsWith("tar: a gzip bomb");
  const limit = 2 * bytes.length + (take === archived ? limits["one.bin"] + 4 * MEBIBYTE : MEBIBYTE);
  if (asked > limit && !streamed) wrong ??= `${asked} bytes requested for a file of ${bytes.length}`;
  if (grown > GROWTH + 2 * bytes.length) wrong ??= `the process grew by ${grown} bytes for a file of ${bytes.length}`;
  tell(name, wrong);
}
for (const [name, entries] of ESCAPES) {
  const inner = join(folder, "a", "b");
  mkdirSync(inner, { recursive: true });
  const path = join(inner, "archive.tar");
  writeFileSync(path, tar(entries));
  const before = readdirSync(folder, { recursive: true }).join();
  let wrong = await outcome(async () => {
    const files = await readFiles(path, limits);
    const text = Buffer.from(files.get("one.bin") ?? []).toString();
    if (text.includes("root:")) throw new Error("it gave out a file from outside the archive");
  }, false);
  if (readdirSync(folder, { recursive: true }).join() !== before) wrong ??= "it wrote a file";
  tell(`archive with ${name}`, wrong);
}
