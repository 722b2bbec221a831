import type { BitCoder } from "./range-coder.js";

/** How much of an error the n-th bit of a context corrects: 1 / (n + 1.5), in 65536ths. */
const RATES = Int32Array.from({ length: 256 }, (_, n) => Math.floor(131072 / (2 * n + 3)));

/** Probabilities that learn: each context's is near the share of ones that it has seen, and follows where that changes. */
export class AdaptiveBits {
  readonly #p: Uint16Array;
  readonly #seen: Uint8Array;
  readonly #limit: number;

  /** @param limit after how many bits a context stops to slow down, at most 255 */
  constructor(contexts: number, limit: number) {
    this.#p = new Uint16Array(contexts).fill(32768);
    this.#seen = new Uint8Array(contexts);
    this.#limit = limit;
  }

  /** The probability of a 1 in 65536ths, from 1 to 65535. */
  probability(context: number): number {
    return this.#p[context] ?? 0;
  }

  update(context: number, bit: number): void {
    const p = this.#p[context] ?? 0;
    const seen = this.#seen[context] ?? 0;
    const next = p + ((((bit << 16) - p) * (RATES[seen] ?? 0)) >> 16);
    this.#p[context] = next < 1 ? 1 : next > 65535 ? 65535 : next;
    if (seen < this.#limit) this.#seen[context] = seen + 1;
  }

  code(coder: BitCoder, context: number, bit: number): number {
    const read = coder.code(bit, this.#p[context] ?? 0);
    this.update(context, read);
    return read;
  }
}

/** The most bits of a whole number: beyond lies nothing that a file tells. */
const LENGTHS = 32;
/** How many of the bits after the leading one are modelled. */
const MODELLED = 4;

/** Codes whole numbers of unknown size, small ones in few bits; each kind of number learns by itself (Elias's gamma code, bit by bit). */
export class IntegerCoder {
  readonly #lengths: AdaptiveBits;
  readonly #bits: AdaptiveBits;
  readonly #signs: AdaptiveBits;

  constructor(kinds = 1) {
    this.#lengths = new AdaptiveBits(kinds * LENGTHS, 60);
    this.#bits = new AdaptiveBits(kinds * LENGTHS * (1 << MODELLED), 60);
    this.#signs = new AdaptiveBits(kinds, 60);
  }

  /** From 0 to 2^32 - 2. */
  unsigned(coder: BitCoder, value: number, kind = 0): number {
    const above = value + 1;
    let length = 0;
    while (this.#lengths.code(coder, kind * LENGTHS + length, above >= 2 ** (length + 1) ? 1 : 0) === 1) {
      if (++length === LENGTHS - 1) break;
    }
    let read = 1;
    for (let i = length - 1; i >= 0; i--) {
      const bit = Math.floor(above / 2 ** i) & 1;
      const modelled = length - 1 - i < MODELLED;
      const context = (kind * LENGTHS + length) * (1 << MODELLED) + (read % (1 << MODELLED));
      read = 2 * read + (modelled ? this.#bits.code(coder, context, bit) : coder.code(bit, 32768));
    }
    return read - 1;
  }

  /** From -(2^31) + 1 to 2^31 - 1. */
  signed(coder: BitCoder, value: number, kind = 0): number {
    const size = this.unsigned(coder, Math.abs(value), kind);
    if (size === 0) return 0;
    return this.#signs.code(coder, kind, value < 0 ? 1 : 0) === 1 ? -size : size;
  }
}
