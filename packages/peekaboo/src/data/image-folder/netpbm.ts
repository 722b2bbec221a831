import type { Pixels } from "./resample.js";

const CHANNELS = 3;
const TAB = 0x09;
const NEWLINE = 0x0a;
const RETURN = 0x0d;
const SPACE = 0x20;
const HASH = 0x23;
const ZERO = 0x30;
const LARGEST = 65_535;

/** What the two letters at the beginning say. */
interface Kind {
  channels: 1 | 3;
  /** Whether samples are bits, of which 1 is black. */
  bits: boolean;
  /** Whether samples are written in digits. */
  plain: boolean;
}

const KINDS: Readonly<Record<string, Kind>> = {
  P1: { channels: 1, bits: true, plain: true },
  P2: { channels: 1, bits: false, plain: true },
  P3: { channels: 3, bits: false, plain: true },
  P4: { channels: 1, bits: true, plain: false },
  P5: { channels: 1, bits: false, plain: false },
  P6: { channels: 3, bits: false, plain: false },
};

/**
 * Decodes the first image of a PBM, PGM or PPM file, in bytes or in digits, to RGB (Netpbm's pbm(5), pgm(5) and ppm(5));
 * its largest value becomes 255.
 *
 * Memory stays in proportion to the file.
 * @throws {Error} with the reason when it is damaged or has more than `maxPixels`.
 */
export function decodeNetpbm(content: Buffer, maxPixels: number): Pixels {
  const kind = KINDS[content.toString("latin1", 0, 2)];
  if (kind === undefined) throw new Error("a file of another format");
  const reader = new Reader(content, 2);
  const [width, height] = [reader.number(), reader.number()];
  const most = kind.bits ? 1 : reader.number();
  if (width < 1 || height < 1 || width * height > maxPixels) {
    throw new Error(`a Netpbm file of ${width} × ${height} pixels`);
  }
  if (most < 1 || most > LARGEST) throw new Error(`a Netpbm file of values up to ${most}`);
  const samples = samplesOf(reader, kind, { width, height, most });
  const data = new Uint8Array(CHANNELS * width * height);
  for (let i = 0; i < data.length; i++) {
    const sample = samples(kind.channels === CHANNELS ? i : Math.floor(i / CHANNELS));
    data[i] = Math.round(((kind.bits ? 1 - sample : Math.min(sample, most)) * 255) / most);
  }
  return { data, width, height };
}

interface Size {
  width: number;
  height: number;
  most: number;
}

/** The samples by their position, row-major; all of them are there. */
function samplesOf(reader: Reader, { channels, bits, plain }: Kind, { width, height, most }: Size) {
  const count = width * height * channels;
  if (plain) {
    // Before memory is asked for: each takes a digit, and a blank but for bits.
    if (reader.left < (bits ? count : 2 * count - 1)) throw truncated();
    const values = new Uint16Array(count);
    for (let i = 0; i < count; i++) values[i] = bits ? reader.bit() : Math.min(reader.number(), LARGEST);
    return (i: number) => values[i] ?? 0;
  }
  const size = most > 255 ? 2 : 1;
  const stride = Math.ceil(width / 8);
  const raster = reader.raster(bits ? stride * height : count * size);
  if (bits)
    return (i: number) =>
      ((raster[stride * Math.floor(i / width) + ((i % width) >> 3)] ?? 0) >> (7 - ((i % width) & 7))) & 1;
  if (size === 1) return (i: number) => raster[i] ?? 0;
  return (i: number) => raster.readUInt16BE(2 * i);
}

/** Reads numbers with white space and comments between. */
class Reader {
  readonly #content: Buffer;
  #at: number;

  constructor(content: Buffer, at: number) {
    this.#content = content;
    this.#at = at;
  }

  get left(): number {
    return this.#content.length - this.#at;
  }

  number(): number {
    let value = this.#digit(this.#skipBlanks());
    for (this.#at++; isDigit(this.#content[this.#at]); this.#at++) {
      value = Math.min(10 * value + this.#digit(this.#at), 10 * LARGEST * LARGEST);
    }
    return value;
  }

  /** A digit that stands alone, blanks or not after it. */
  bit(): number {
    const value = this.#digit(this.#skipBlanks());
    this.#at++;
    if (value > 1) throw new Error(`a Netpbm file with the bit ${value}`);
    return value;
  }

  /** The bytes after one blank, of which there must be `length`. */
  raster(length: number): Buffer {
    const start = this.#at + 1;
    if (start + length > this.#content.length) throw truncated();
    return this.#content.subarray(start, start + length);
  }

  #digit(at: number): number {
    const byte = this.#content[at];
    if (byte === undefined) throw truncated();
    if (!isDigit(byte)) throw new Error("a Netpbm file with other text than numbers");
    return byte - ZERO;
  }

  #skipBlanks(): number {
    for (; ; this.#at++) {
      const byte = this.#content[this.#at];
      if (byte === HASH) {
        const end = this.#content.indexOf(NEWLINE, this.#at);
        this.#at = end < 0 ? this.#content.length : end;
      } else if (byte === undefined || !isBlank(byte)) {
        return this.#at;
      }
    }
  }
}

function isBlank(byte: number): boolean {
  return byte === SPACE || (byte >= TAB && byte <= RETURN);
}

function isDigit(byte: number | undefined): byte is number {
  return byte !== undefined && byte >= ZERO && byte <= ZERO + 9;
}

function truncated(): Error {
  return new Error("a truncated Netpbm file");
}
