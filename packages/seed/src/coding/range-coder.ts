import { UserError } from "@peekaboo/files/errors";

/** Probabilities are counted in 65536ths; none is 0 or 1. */
const PROBABILITY_BITS = 16;
export const PROBABILITY_ONE = 1 << PROBABILITY_BITS;

/** Codes bits: an encoder writes the one that it is given, a decoder returns the one that it reads. So a model is written once. */
export interface BitCoder {
  /**
   * @param bit what to write; a decoder takes no notice of it
   * @param p the probability of a 1, from 1 to 65535
   */
  code(bit: number, p: number): number;
}

/** The most zeros at the end of the bytes that an encoder leaves out. */
const OMITTED = 64;
/** How many bytes beyond those that an encoder wrote a decoder has read after the last bit. */
const AHEAD = 3;

const TWO_32 = 0x1_0000_0000;
const TWO_24 = 0x100_0000;

/** floor(range·p / 2^16) of 32 and 16 bits, without the 48-bit product. */
function share(range: number, p: number): number {
  return (range >>> 16) * p + (((range & 0xffff) * p) >>> 16);
}

/**
 * Writes bits, each with the probability that it was expected with, in hardly more than their information.
 * Source: Martin, "Range encoding" (1979), binary and with carries as in Igor Pavlov's LZMA, but for 16 bits of probability.
 */
export class RangeEncoder implements BitCoder {
  #bytes = new Uint8Array(1024);
  #length = 0;
  #low = 0;
  #range = 0xffffffff;
  /** The last byte, which a carry may still change, and how many bytes of 255 follow it; none before the first. */
  #held = -1;
  #pending = 0;

  code(bit: number, p: number): number {
    const bound = share(this.#range, p);
    if (bit === 1) {
      this.#range = bound;
    } else {
      this.#low += bound;
      this.#range -= bound;
    }
    while (this.#range < TWO_24) {
      this.#shift();
      this.#range = (this.#range << 8) >>> 0;
    }
    return bit;
  }

  /** The bytes of all bits; nothing can be encoded after that. */
  finish(): Uint8Array {
    // One byte is enough to point into the range, for a reader that takes what follows for zeros.
    this.#low = Math.floor((this.#low + TWO_24 - 1) / TWO_24) * TWO_24;
    this.#shift();
    this.#shift();
    let end = this.#length;
    while (end > Math.max(0, this.#length - OMITTED) && this.#bytes[end - 1] === 0) end -= 1;
    return this.#bytes.slice(0, end);
  }

  #shift(): void {
    const carry = this.#low >= TWO_32 ? 1 : 0;
    const top = (this.#low / TWO_24) & 0xff;
    if (top !== 0xff || carry === 1) {
      if (this.#held >= 0) this.#write(this.#held + carry);
      for (; this.#pending > 0; this.#pending--) this.#write(0xff + carry);
      this.#held = top;
    } else {
      this.#pending += 1;
    }
    this.#low = (this.#low % TWO_24) * 256;
  }

  #write(byte: number): void {
    if (this.#length === this.#bytes.length) {
      const longer = new Uint8Array(2 * this.#length);
      longer.set(this.#bytes);
      this.#bytes = longer;
    }
    this.#bytes[this.#length++] = byte;
  }
}

/** Reads what a {@link RangeEncoder} wrote, by integers alone; after the last byte come zeros, though not many: what is coded has to be paid for. */
export class RangeDecoder implements BitCoder {
  readonly #bytes: Uint8Array;
  #position = 0;
  #range = 0xffffffff;
  #code = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    for (let i = 0; i < 4; i++) this.#code = ((this.#code << 8) | this.#next()) >>> 0;
  }

  /** @throws {UserError} when no encoder's bytes end so early. */
  code(_: number, p: number): number {
    const range = this.#range;
    const bound = (range >>> 16) * p + (((range & 0xffff) * p) >>> 16);
    let bit: number;
    if (this.#code < bound) {
      this.#range = bound;
      bit = 1;
    } else {
      this.#code -= bound;
      this.#range = range - bound;
      bit = 0;
    }
    while (this.#range < TWO_24) {
      this.#code = ((this.#code << 8) | this.#next()) >>> 0;
      this.#range = (this.#range << 8) >>> 0;
    }
    return bit;
  }

  /** Whether every byte was needed: what is left would mean nothing. */
  get isAtEnd(): boolean {
    return this.#position >= this.#bytes.length;
  }

  #next(): number {
    const byte = this.#bytes[this.#position++];
    if (byte !== undefined) return byte;
    if (this.#position > this.#bytes.length + OMITTED + AHEAD) throw tooShort(this.#bytes.length);
    return 0;
  }
}

function tooShort(length: number): UserError {
  return new UserError({
    operation: "read a .pab file",
    argument: "the length of a section",
    expected: "enough bytes for what it holds",
    received: String(length),
    remedy: "give an undamaged .pab file",
  });
}
