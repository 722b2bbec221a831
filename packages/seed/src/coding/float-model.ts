import { AdaptiveBits } from "./adaptive.js";
import type { BitCoder } from "./range-coder.js";

/** Of a value's bytes the upper two are modelled, the first alone and the second by the first; the rest are noise. */
const BYTE = 256;

/** Codes the bits of floating-point numbers; tensors of one kind (scales, shifts, weights) learn together. */
export class FloatCoder {
  readonly #coder: BitCoder;
  readonly #first: AdaptiveBits;
  readonly #second: AdaptiveBits;

  constructor(coder: BitCoder, kinds: number) {
    this.#coder = coder;
    this.#first = new AdaptiveBits(kinds * BYTE, 250);
    this.#second = new AdaptiveBits(kinds * BYTE, 250);
  }

  /** Codes numbers of two or four bytes as whole numbers; a decoder fills them in. */
  values(bits: Uint16Array | Uint32Array, kind: number): void {
    const size = bits.BYTES_PER_ELEMENT;
    for (let n = 0; n < bits.length; n++) {
      const value = bits[n] ?? 0;
      let read = this.#byte(this.#first, kind, value >>> (8 * size - 8));
      for (let i = size - 2; i >= 0; i--) {
        const byte = (value >>> (8 * i)) & 0xff;
        read = read * BYTE + (i === size - 2 ? this.#byte(this.#second, kind, byte) : this.#plain(byte));
      }
      bits[n] = read;
    }
  }

  #byte(models: AdaptiveBits, kind: number, byte: number): number {
    let node = 1;
    for (let shift = 7; shift >= 0; shift--)
      node = 2 * node + models.code(this.#coder, kind * BYTE + node, (byte >>> shift) & 1);
    return node & 0xff;
  }

  #plain(byte: number): number {
    let read = 0;
    for (let shift = 7; shift >= 0; shift--) read = 2 * read + this.#coder.code((byte >>> shift) & 1, 32768);
    return read;
  }
}
