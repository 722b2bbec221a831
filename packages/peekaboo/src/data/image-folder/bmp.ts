import type { Pixels } from "./resample.js";

/** Windows' BMP as [MS-WMF] 2.2.2 and OS/2's have it: every depth, run lengths and bit fields; no JPEG or PNG within. */
interface Header {
  width: number;
  height: number;
  bits: number;
  compression: number;
  /** Whether the first row stored is the picture's first. */
  topDown: boolean;
  /** Where the pixels begin. */
  start: number;
  palette: Buffer;
  /** Bytes of a colour in the palette: blue, green, red and nothing. */
  entry: number;
  masks: readonly number[];
}

const FILE_HEADER = 14;
const OLD_HEADER = 12;
const HEADERS: ReadonlySet<number> = new Set([OLD_HEADER, 40, 52, 56, 64, 108, 124]);
const RGB = 0;
const RLE8 = 1;
const RLE4 = 2;
const BIT_FIELDS = 3;
const ALPHA_BIT_FIELDS = 6;
/** Bits a pixel that go with each compression. */
const DEPTHS: Readonly<Record<number, readonly number[]>> = {
  [RGB]: [1, 4, 8, 16, 24, 32],
  [RLE8]: [8],
  [RLE4]: [4],
  [BIT_FIELDS]: [16, 32],
  [ALPHA_BIT_FIELDS]: [16, 32],
};
const MASKS_AT = FILE_HEADER + 40;
const CHANNELS = 3;
/** Pixels for each byte of run lengths, beyond which a picture is taken for a claim: an empty row takes two bytes. */
const MOST_EXPANSION = 1024;

/**
 * Decodes a BMP file to RGB; a colour's alpha is dropped.
 *
 * Memory stays in proportion to the file.
 * @throws {Error} with the reason when it is damaged or has more than `maxPixels`.
 */
export function decodeBmp(content: Buffer, maxPixels: number): Pixels {
  if (content.length < FILE_HEADER + OLD_HEADER) throw truncated();
  const header = headerOf(content);
  const { width, height, bits, compression, start } = header;
  if (width < 1 || height < 1 || width * height > maxPixels)
    throw new Error(`a BMP file of ${width} × ${height} pixels`);
  const packed = compression === RLE8 || compression === RLE4;
  const stride = 4 * Math.ceil((width * bits) / 32);
  if (start > content.length) throw truncated();
  if (packed && width * height > MOST_EXPANSION * content.length) throw truncated();
  if (!packed && start + stride * height > content.length) throw truncated();
  const rows = packed
    ? { bytes: unpacked(content, header), stride: width, at: 0, bits: 8 }
    : { bytes: content, stride, at: start, bits };
  return { data: pixelsOf(rows, header), width, height };
}

function headerOf(content: Buffer): Header {
  const size = content.readUInt32LE(FILE_HEADER);
  if (!HEADERS.has(size)) throw new Error(`a BMP file with a header of ${size} bytes`);
  if (content.length < FILE_HEADER + size) throw truncated();
  const old = size === OLD_HEADER;
  const at = FILE_HEADER + 4;
  const signed = old ? content.readUInt16LE(at + 2) : content.readInt32LE(at + 4);
  const bits = content.readUInt16LE(at + (old ? 6 : 10));
  const compression = old ? RGB : content.readUInt32LE(at + 12);
  if (DEPTHS[compression]?.includes(bits) !== true) {
    throw new Error(`a BMP file of ${bits} bits a pixel, compressed by method ${compression}`);
  }
  const fields = compression === BIT_FIELDS || compression === ALPHA_BIT_FIELDS;
  const colours = old ? 0 : content.readUInt32LE(at + 28);
  const masksAfter = size === 40 && fields ? 4 * (compression === BIT_FIELDS ? 3 : 4) : 0;
  const paletteAt = FILE_HEADER + size + masksAfter;
  const entry = old ? 3 : 4;
  const most = bits > 8 ? 0 : 2 ** bits;
  const length = entry * (colours === 0 ? most : Math.min(colours, most));
  return {
    width: old ? content.readUInt16LE(at) : content.readInt32LE(at),
    height: Math.abs(signed),
    bits,
    compression,
    topDown: signed < 0,
    start: content.readUInt32LE(10),
    palette: content.subarray(paletteAt, paletteAt + length),
    entry,
    masks: fields ? masksOf(content) : bits === 16 ? [0x7c00, 0x3e0, 0x1f] : [0xff0000, 0xff00, 0xff],
  };
}

function masksOf(content: Buffer): number[] {
  if (content.length < MASKS_AT + 12) throw truncated();
  return [0, 4, 8].map((offset) => content.readUInt32LE(MASKS_AT + offset));
}

interface Rows {
  bytes: Uint8Array;
  stride: number;
  /** The first row's place. */
  at: number;
  bits: number;
}

function pixelsOf({ bytes, stride, at, bits }: Rows, { width, height, topDown, palette, entry, masks }: Header) {
  const data = new Uint8Array(width * height * CHANNELS);
  const channels = masks.map(channelOf);
  for (let y = 0; y < height; y++) {
    const row = at + stride * (topDown ? y : height - 1 - y);
    for (let x = 0; x < width; x++) {
      const to = CHANNELS * (y * width + x);
      if (bits <= 8) {
        const index = indexAt(bytes, row, x, bits);
        for (let c = 0; c < CHANNELS; c++) data[to + c] = palette[entry * index + 2 - c] ?? 0;
      } else if (bits === 24) {
        for (let c = 0; c < CHANNELS; c++) data[to + c] = bytes[row + 3 * x + 2 - c] ?? 0;
      } else {
        const value = wordAt(bytes, row + (bits / 8) * x, bits / 8);
        for (let c = 0; c < CHANNELS; c++) data[to + c] = channels[c]?.(value) ?? 0;
      }
    }
  }
  return data;
}

/** The bits of a mask, spread over 0 … 255 as Pillow does it. */
function channelOf(mask: number): (value: number) => number {
  const shift = mask === 0 ? 0 : 31 - Math.clz32(mask & -mask);
  const most = mask >>> shift;
  return (value) => (most === 0 ? 0 : Math.floor((((value & mask) >>> shift) * 255) / most));
}

function indexAt(bytes: Uint8Array, row: number, x: number, bits: number): number {
  const perByte = 8 / bits;
  const byte = bytes[row + Math.floor(x / perByte)] ?? 0;
  return (byte >> (8 - bits - bits * (x % perByte))) & (2 ** bits - 1);
}

function wordAt(bytes: Uint8Array, at: number, length: number): number {
  let value = 0;
  for (let i = length - 1; i >= 0; i--) value = (value << 8) | (bytes[at + i] ?? 0);
  return value >>> 0;
}

/** The palette indices of an image of run lengths, a byte each, in the order of storing; what it leaves out is 0. */
function unpacked(content: Buffer, { width, height, compression, start }: Header): Uint8Array {
  const indices = new Uint8Array(width * height);
  const nibbles = compression === RLE4;
  let [x, y, at] = [0, 0, start];
  const put = (index: number): void => {
    if (x < width && y < height) indices[y * width + x] = index;
    x++;
  };
  const next = (): number => {
    const byte = content[at++];
    if (byte === undefined) throw truncated();
    return byte;
  };
  while (y < height) {
    const [count, value] = [next(), next()];
    if (count > 0) {
      for (let i = 0; i < count; i++) put(nibbles ? nibbleOf(value, i) : value);
    } else if (value === 0) {
      [x, y] = [0, y + 1];
    } else if (value === 1) {
      break;
    } else if (value === 2) {
      [x, y] = [x + next(), y + next()];
    } else {
      const first = at;
      for (let i = 0, byte = 0; i < value; i++) {
        if (!nibbles || i % 2 === 0) byte = next();
        put(nibbles ? nibbleOf(byte, i) : byte);
      }
      at += (at - first) % 2;
    }
  }
  return indices;
}

function nibbleOf(byte: number, i: number): number {
  return i % 2 === 0 ? byte >> 4 : byte & 15;
}

function truncated(): Error {
  return new Error("a truncated BMP file");
}
