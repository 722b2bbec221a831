import { UserError } from "@peekaboo/files/errors";
import { fnv1a64 } from "../random/hash.js";

/** As of PNG's: a byte that is no text, the name, and line ends that a text's conversion would change. */
const MAGIC = Uint8Array.of(0x89, 0x50, 0x41, 0x42, 0x0d, 0x0a, 0x1a, 0x0a);
/** What generator, quantiles and probability models a file was written for. */
const VERSION = 1;
/** A row of the table: the section's number, its length and its checksum. */
const ROW = 9;
const HEADER = MAGIC.length + 2;
const TOTAL = 8;

/** The parts of a file, in their order; each is coded by itself. */
export const SECTIONS = ["description", "masks", "signs", "numbers"] as const;

type Section = (typeof SECTIONS)[number];
export type Sections = Readonly<Record<Section, Uint8Array>>;

/** How many bytes each part of a file takes. */
export interface PartSizes extends Readonly<Record<Section, number>> {
  /** The magic, the table and the checksums. */
  readonly container: number;
}

/** How a file of these sections is divided. */
export function partSizes(sections: Sections): PartSizes {
  const container = HEADER + ROW * SECTIONS.length + TOTAL;
  const [description, masks, signs, numbers] = SECTIONS.map((name) => sections[name].length);
  return { container, description: description ?? 0, masks: masks ?? 0, signs: signs ?? 0, numbers: numbers ?? 0 };
}

/** How the bytes of a file are divided. @throws {UserError} when they are none. */
export function pabPartSizes(bytes: Uint8Array): PartSizes {
  return partSizes(unpackSections(bytes));
}

/** The bytes of a file: magic, version, table, sections, and a checksum over all before it. All numbers are little-endian. */
export function packSections(sections: Sections): Uint8Array {
  const start = HEADER + ROW * SECTIONS.length;
  const length = start + SECTIONS.reduce((sum, name) => sum + sections[name].length, 0);
  const bytes = new Uint8Array(length + TOTAL);
  const view = new DataView(bytes.buffer);
  bytes.set(MAGIC);
  bytes.set([VERSION, SECTIONS.length], MAGIC.length);
  let at = start;
  SECTIONS.forEach((name, i) => {
    const section = sections[name];
    bytes[HEADER + ROW * i] = i + 1;
    view.setUint32(HEADER + ROW * i + 1, section.length, true);
    view.setUint32(HEADER + ROW * i + 5, crc32(section), true);
    bytes.set(section, at);
    at += section.length;
  });
  const [low, high] = fnv1a64(bytes.subarray(0, length));
  view.setUint32(length, low, true);
  view.setUint32(length + 4, high, true);
  return bytes;
}

/**
 * Whether the first bytes of a file, eight at least, are those of a .pab file.
 */
export function isPab(beginning: Uint8Array): boolean {
  return MAGIC.every((byte, i) => beginning[i] === byte);
}

/**
 * The sections of a file, as views of its bytes.
 * @throws {UserError} when the bytes are no .pab file, a newer version's, cut off or damaged.
 */
export function unpackSections(bytes: Uint8Array): Sections {
  if (!isPab(bytes)) throw damaged("the file", "a .pab file, by its first eight bytes", "another kind of file");
  const [version = 0, count = 0] = bytes.subarray(MAGIC.length);
  if (version !== VERSION)
    throw damaged("the version", String(VERSION), String(version), "read it with a newer peekaboo");
  if (count !== SECTIONS.length) throw damaged("the number of sections", String(SECTIONS.length), String(count));
  const start = HEADER + ROW * count;
  if (bytes.length < start + TOTAL)
    throw damaged("the length", `at least ${start + TOTAL} bytes`, String(bytes.length));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const lengths = SECTIONS.map((_, i) => view.getUint32(HEADER + ROW * i + 1, true));
  const length = start + lengths.reduce((sum, own) => sum + own, 0);
  if (bytes.length !== length + TOTAL) throw damaged("the length", `${length + TOTAL} bytes`, String(bytes.length));
  let at = start;
  const parts = SECTIONS.map((name, i) => {
    const section = bytes.subarray(at, at + (lengths[i] ?? 0));
    at += section.length;
    const fits = bytes[HEADER + ROW * i] === i + 1 && view.getUint32(HEADER + ROW * i + 5, true) === crc32(section);
    if (!fits) throw damaged(`the checksum of the ${name}`, "that of its bytes", "another");
    return section;
  });
  const [low, high] = fnv1a64(bytes.subarray(0, length));
  if (view.getUint32(length, true) !== low || view.getUint32(length + 4, true) !== high)
    throw damaged("the checksum of the file", "that of its bytes", "another");
  const [description, masks, signs, numbers] = parts;
  const none = new Uint8Array();
  return { description: description ?? none, masks: masks ?? none, signs: signs ?? none, numbers: numbers ?? none };
}

/** The error for bytes that aren't as a .pab file's are. */
export function damaged(
  argument: string,
  expected: string,
  received: string,
  remedy = "give an undamaged .pab file",
): UserError {
  return new UserError({ operation: "read a .pab file", argument, expected, received, remedy });
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let value = n;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/** The CRC-32 of ISO 3309, as zip and PNG have it. */
function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) crc = (CRC_TABLE[(crc ^ (bytes[i] ?? 0)) & 0xff] ?? 0) ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}
