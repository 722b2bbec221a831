import { crc32, inflateRawSync } from "node:zlib";
import { quoted } from "@peekaboo/files/errors";
import type { Entry, ZipFile } from "yauzl";
import type { Allowance } from "./allowance.js";
import { PickleFault } from "./pickle/values.js";

const STORED = 0;
const DEFLATED = 8;
const ENCRYPTED = 1;

/** An entry's place in the archive, within it for certain. */
export interface ZipEntry {
  readonly name: string;
  readonly method: number;
  readonly checksum: number;
  readonly start: number;
  readonly compressedSize: number;
  readonly size: number;
}

/**
 * The entries of a zip archive in memory, by name, in the directory's order. yauzl checks the directory.
 *
 * @throws {PickleFault} when the archive is damaged, holds a name twice or is encrypted.
 */
export async function readZipDirectory(archive: Uint8Array): Promise<Map<string, ZipEntry>> {
  const yauzl = await import("yauzl");
  const entries = new Map<string, ZipEntry>();
  try {
    const buffer = Buffer.from(archive.buffer, archive.byteOffset, archive.byteLength);
    const zip = await yauzl.default.fromBufferPromise(buffer, { strictFileNames: true });
    for await (const entry of zip.eachEntry()) {
      if (entries.has(entry.fileName))
        throw new PickleFault("each entry's name once", `${quoted(entry.fileName)} twice`);
      entries.set(entry.fileName, await locate(zip, entry));
    }
  } catch (cause) {
    if (cause instanceof PickleFault) throw cause;
    throw new PickleFault("a whole zip archive", reasonOf(cause));
  }
  return entries;
}

async function locate(zip: ZipFile, entry: Entry): Promise<ZipEntry> {
  const name = entry.fileName;
  if ((entry.generalPurposeBitFlag & ENCRYPTED) !== 0) throw new PickleFault("no encryption", `it in ${quoted(name)}`);
  const { fileDataStart: start } = await zip.readLocalFileHeaderPromise(entry, { minimal: true });
  const { compressedSize, uncompressedSize: size, compressionMethod: method, crc32: checksum } = entry;
  return { name, method, checksum, start, compressedSize, size };
}

/**
 * An entry's contents: a view of the archive where they are stored, inflated otherwise; their checksum holds.
 *
 * @throws {PickleFault} when they are damaged, compressed another way, or are more than is allowed.
 */
export function contentOf(archive: Uint8Array, entry: ZipEntry, allowance: Allowance): Uint8Array {
  const { name, start, compressedSize, method, checksum } = entry;
  allowance.read(compressedSize);
  const packed = archive.subarray(start, start + compressedSize);
  const content = method === STORED ? packed : inflate(entry, packed, allowance);
  if (crc32(content) !== checksum) throw new PickleFault(`contents of ${quoted(name)} with their checksum`, "others");
  return content;
}

function inflate({ name, method, size }: ZipEntry, packed: Uint8Array, allowance: Allowance): Uint8Array {
  if (method !== DEFLATED) throw new PickleFault("entries stored or deflated", `method ${method} for ${quoted(name)}`);
  allowance.inflate(size);
  try {
    const content = inflateRawSync(packed, { maxOutputLength: Math.max(1, size) });
    if (content.byteLength === size) return content;
    throw new PickleFault(`${size} bytes in ${quoted(name)}`, `${content.byteLength}`);
  } catch (cause) {
    if (cause instanceof PickleFault) throw cause;
    throw new PickleFault(`deflated contents for ${quoted(name)}`, reasonOf(cause));
  }
}

function reasonOf(cause: unknown): string {
  return quoted(cause instanceof Error ? cause.message : String(cause));
}
