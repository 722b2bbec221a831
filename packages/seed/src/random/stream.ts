import { assertInteger, checkSeed } from "./check.js";
import { fnv1a64 } from "./hash.js";
import { philox4x32 } from "./philox.js";
import { utf8Bytes } from "./utf8.js";

/** Philox's key, and the upper half of its counter. */
export type StreamState = readonly [key0: number, key1: number, name0: number, name1: number];

const WORDS_PER_BLOCK = 4;
const TWO_32 = 0x1_0000_0000;

/**
 * An endless sequence of random 32-bit words in which word i depends on (seed, name, i) alone, so that it can be read
 * from anywhere, in any order, by any process, on any engine.
 *
 * The seed is Philox's key; the counter's lower half is the block i / 4 and its upper half the FNV-1a hash of the UTF-8
 * name. That is cuRAND's and PyTorch's (seed, offset, subsequence). One name never gives two seeds a common block.
 * @throws {UserError} if the seed is not an integer from 0 to 2^53 - 1.
 */
export class RandomStream {
  readonly #key = new Uint32Array(2);
  readonly #counter = new Uint32Array(WORDS_PER_BLOCK);
  readonly #block = new Uint32Array(WORDS_PER_BLOCK);

  constructor(seed: number, name: string) {
    checkSeed(seed);
    this.#key.set([seed % TWO_32, Math.floor(seed / TWO_32)]);
    this.#counter.set(fnv1a64(utf8Bytes(name)), 2);
  }

  /** What makes it this stream. */
  get state(): StreamState {
    const [key0 = 0, key1 = 0] = this.#key;
    const [, , name0 = 0, name1 = 0] = this.#counter;
    return [key0, key1, name0, name1];
  }

  /** Word `index` of the stream, an integer in [0, 2^32). */
  uint32(index: number): number {
    assertInteger("index", index);
    this.#encrypt(Math.floor(index / WORDS_PER_BLOCK));
    return this.#block[index % WORDS_PER_BLOCK] ?? 0;
  }

  /** Fills `out` with the words `from`, `from` + 1, … of the stream. */
  fillUint32(out: Uint32Array, from = 0): void {
    assertInteger("from", from);
    let whole = 0;
    if (from % WORDS_PER_BLOCK === 0) {
      whole = out.length - (out.length % WORDS_PER_BLOCK);
      this.#count(from / WORDS_PER_BLOCK);
      philox4x32(this.#counter, this.#key, out.subarray(0, whole));
    }
    for (let i = whole; i < out.length; ) {
      const block = Math.floor((from + i) / WORDS_PER_BLOCK);
      this.#encrypt(block);
      for (let lane = from + i - WORDS_PER_BLOCK * block; lane < WORDS_PER_BLOCK && i < out.length; lane++, i++) {
        out[i] = this.#block[lane] ?? 0;
      }
    }
  }

  #count(block: number): void {
    this.#counter[0] = block % TWO_32;
    this.#counter[1] = Math.floor(block / TWO_32);
  }

  #encrypt(block: number): void {
    this.#count(block);
    philox4x32(this.#counter, this.#key, this.#block);
  }
}
