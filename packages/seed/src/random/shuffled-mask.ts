import { numel } from "@peekaboo/files/safetensors";
import { assertInteger } from "./check.js";
import { RandomStream } from "./stream.js";

const CHUNK = 4096;
const TWO_26 = 0x400_0000;

/** Gives a position's key: the smallest are kept. */
interface Keys {
  /** The random words of a position, and its key from the word at an index and what follows it. */
  words: number;
  /** Below 2^bits. */
  bits: number;
  key(words: Uint32Array, at: number): number;
}

/** The most leading bits of a key that the first pass counts by; of few positions it counts by fewer. */
const BUCKET_BITS = 16;

/**
 * A mask (row-major, 1 where a weight stays) whose positions carry no information: it follows from (seed, state name,
 * shape, number of kept weights), so it needs no storage, and a smaller number's mask lies within a larger one's.
 *
 * The positions are ordered by word i of the Philox stream `prune/shuffle/NAME`, equal words by position (for two
 * positions, one chance in 2^32), and the first `kept` of that order stay. Time is linear, memory the mask itself.
 * @throws {RangeError} when `kept` is not an integer from 0 to the product of `shape`, UserError for an invalid seed.
 * Source: the random shuffling within layers of Frankle, Dziugaite, Roy and Carbin, "Pruning Neural Networks at
 * Initialization: Why Are We Missing the Mark?" (ICLR 2021).
 */
export function shuffledMask(seed: number, name: string, shape: readonly number[], kept: number): Uint8Array {
  const keys = { words: 1, bits: 32, key: (words: Uint32Array, at: number) => words[at] ?? 0 };
  return keepSmallest(new RandomStream(seed, `prune/shuffle/${name}`), keys, numel(shape), kept);
}

/**
 * The mask that pruning by uniform random scores leaves: `kept` positions of the largest numbers of the stream
 * `prune/random/NAME`, the smaller position of two equal ones (one chance in 2^52).
 * @throws {RangeError} when `kept` is not an integer from 0 to the product of `shape`, UserError for an invalid seed.
 */
export function randomMask(seed: number, name: string, shape: readonly number[], kept: number): Uint8Array {
  const key = (words: Uint32Array, at: number) =>
    (TWO_26 - 1 - ((words[at] ?? 0) >>> 6)) * TWO_26 + (TWO_26 - 1 - ((words[at + 1] ?? 0) >>> 6));
  return keepSmallest(new RandomStream(seed, `prune/random/${name}`), { words: 2, bits: 52, key }, numel(shape), kept);
}

function keepSmallest(stream: RandomStream, keys: Keys, total: number, kept: number): Uint8Array {
  assertInteger("kept", kept, 0, total);
  const mask = new Uint8Array(total);
  if (kept === 0 || kept === total) return mask.fill(kept === 0 ? 0 : 1);
  const buckets = 2 ** Math.min(BUCKET_BITS, Math.ceil(Math.log2(total)));
  const width = 2 ** keys.bits / buckets;
  const { bucket, before } = bucketOf(stream, keys, { total, rank: kept, buckets });
  const candidates: { key: number; position: number }[] = [];
  eachKey(stream, keys, total, (key, position) => {
    const own = Math.floor(key / width);
    if (own < bucket) mask[position] = 1;
    else if (own === bucket) candidates.push({ key, position });
  });
  candidates.sort((a, b) => a.key - b.key || a.position - b.position);
  for (const { position } of candidates.slice(0, kept - before)) mask[position] = 1;
  return mask;
}

/** The bucket that holds the `rank`-th smallest key (from 1), and how many keys the buckets before it hold. */
function bucketOf(
  stream: RandomStream,
  keys: Keys,
  { total, rank, buckets }: { total: number; rank: number; buckets: number },
): { bucket: number; before: number } {
  const width = 2 ** keys.bits / buckets;
  const counts = new Uint32Array(buckets);
  eachKey(stream, keys, total, (key) => {
    const bucket = Math.floor(key / width);
    counts[bucket] = (counts[bucket] ?? 0) + 1;
  });
  let [bucket, before] = [0, 0];
  while (before + (counts[bucket] ?? 0) < rank) before += counts[bucket++] ?? 0;
  return { bucket, before };
}

function eachKey(
  stream: RandomStream,
  { words: each, key }: Keys,
  total: number,
  visit: (key: number, position: number) => void,
): void {
  const words = new Uint32Array(Math.min(CHUNK, total) * each);
  for (let start = 0; start < total; start += CHUNK) {
    const count = Math.min(CHUNK, total - start);
    stream.fillUint32(words.subarray(0, count * each), start * each);
    for (let i = 0; i < count; i++) visit(key(words, i * each), start + i);
  }
}
