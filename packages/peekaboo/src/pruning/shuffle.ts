import { numel } from "@peekaboo/files/safetensors";
import { assertInteger, RandomStream } from "@peekaboo/seed";

/** Leading bits of a key that the first pass counts by. */
const BUCKET_BITS = 16;
const CHUNK = 4096;

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
  const total = numel(shape);
  assertInteger("kept", kept, 0, total);
  const stream = new RandomStream(seed, `prune/shuffle/${name}`);
  const mask = new Uint8Array(total);
  if (kept === 0 || kept === total) return mask.fill(kept === 0 ? 0 : 1);
  const { bucket, before } = bucketOf(stream, total, kept);
  const candidates: { word: number; position: number }[] = [];
  eachWord(stream, total, (word, position) => {
    const own = word >>> (32 - BUCKET_BITS);
    if (own < bucket) mask[position] = 1;
    else if (own === bucket) candidates.push({ word, position });
  });
  candidates.sort((a, b) => a.word - b.word || a.position - b.position);
  for (const { position } of candidates.slice(0, kept - before)) mask[position] = 1;
  return mask;
}

/** The bucket that holds the `rank`-th smallest word (from 1), and how many words the buckets before it hold. */
function bucketOf(stream: RandomStream, total: number, rank: number): { bucket: number; before: number } {
  const counts = new Uint32Array(2 ** BUCKET_BITS);
  eachWord(stream, total, (word) => {
    const bucket = word >>> (32 - BUCKET_BITS);
    counts[bucket] = (counts[bucket] ?? 0) + 1;
  });
  let [bucket, before] = [0, 0];
  while (before + (counts[bucket] ?? 0) < rank) before += counts[bucket++] ?? 0;
  return { bucket, before };
}

function eachWord(stream: RandomStream, total: number, visit: (word: number, position: number) => void): void {
  const words = new Uint32Array(CHUNK);
  for (let start = 0; start < total; start += CHUNK) {
    const count = Math.min(CHUNK, total - start);
    stream.fillUint32(words.subarray(0, count), start);
    for (let i = 0; i < count; i++) visit(words[i] ?? 0, start + i);
  }
}
