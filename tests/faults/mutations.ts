import { oneOf, type Random } from "./random.js";

/** Values at the edges of what integers of 1, 2, 4 and 8 bytes hold. */
const EXTREMES = [
  ...[0n, 1n, 0x7fn, 0x80n, 0xffn, 0x7fffn, 0x8000n, 0xffffn, 0x7fff_ffffn, 0x8000_0000n, 0xffff_ffffn],
  ...[1n << 32n, (1n << 53n) - 1n, 1n << 53n, (1n << 63n) - 1n, 1n << 63n, (1n << 64n) - 1n],
];

/** The same, and what is no integer, as text. */
const NUMERALS = [
  ...["-1", "0", "1", "255", "256", "65536", "2147483648", "4294967296", "9007199254740993", "18446744073709551616"],
  ...["1e308", "1e999", "-1e-7", "0.5", "00", "null", '""', "[]", "{}"],
];

function cut(bytes: Buffer, at: number, removed: number, inserted: Uint8Array = Buffer.alloc(0)): Buffer {
  return Buffer.concat([bytes.subarray(0, at), inserted, bytes.subarray(at + removed)]);
}

type Mutation = (bytes: Buffer, random: Random, other: Buffer) => Buffer;

const flipBits: Mutation = (bytes, random) => {
  const flipped = Buffer.from(bytes);
  for (let count = 1 + random(4); count > 0; count--) {
    const at = random(bytes.length);
    flipped[at] = (flipped[at] ?? 0) ^ (1 << random(8));
  }
  return flipped;
};

const truncate: Mutation = (bytes, random) => bytes.subarray(0, random(bytes.length));

const insert: Mutation = (bytes, random) => {
  const inserted = Buffer.from(Array.from({ length: 1 + random(16) }, () => random(256)));
  return cut(bytes, random(bytes.length + 1), 0, inserted);
};

const remove: Mutation = (bytes, random) => cut(bytes, random(bytes.length), 1 + random(16));

const splice: Mutation = (bytes, random, other) =>
  Buffer.concat([bytes.subarray(0, random(bytes.length)), other.subarray(random(other.length))]);

const repeat: Mutation = (bytes, random) => {
  const from = random(bytes.length);
  return cut(bytes, random(bytes.length), 0, bytes.subarray(from, from + 1 + random(64)));
};

const extremeInteger: Mutation = (bytes, random) => {
  const field = Buffer.alloc(8);
  field.writeBigUInt64LE(oneOf(random, EXTREMES));
  const width = oneOf(random, [1, 2, 4, 8]);
  const value = field.subarray(0, width);
  return cut(bytes, random(bytes.length), width, random(2) === 0 ? value : Buffer.from(value).reverse());
};

/** Replaces one of the runs of digits in what may be text. */
const extremeNumeral: Mutation = (bytes, random) => {
  const text = bytes.toString("latin1");
  const numerals = [...text.matchAll(/\d+/g)];
  if (numerals.length === 0) return extremeInteger(bytes, random, bytes);
  const { index, 0: digits } = oneOf(random, numerals);
  return cut(bytes, index, digits.length, Buffer.from(oneOf(random, NUMERALS)));
};

/** Repeats an opening bracket or quote so often that a parser that recurses meets its limit. */
const nest: Mutation = (bytes, random) =>
  cut(
    bytes,
    random(bytes.length),
    0,
    Buffer.from(oneOf(random, ["[", "{", '{"a":', "(", "]"]).repeat(1 + random(20_000))),
  );

const MUTATIONS: readonly Mutation[] = [
  ...[flipBits, flipBits, truncate, insert, remove, splice, repeat],
  ...[extremeInteger, extremeInteger, extremeNumeral, extremeNumeral],
];

/** One to three changes to bytes; `other` is a second valid input, from which a part may come. */
export function mutated(bytes: Buffer, other: Buffer, random: Random): Buffer {
  let result = bytes;
  for (let count = 1 + random(3); count > 0 && result.length > 0; count--) {
    const mutation = random(200) === 0 ? nest : oneOf(random, MUTATIONS);
    result = mutation(result, random, other);
  }
  return result;
}

/** Values that no setting expects. */
const VALUES: readonly unknown[] = [
  ...[null, true, -1, 0, 0.5, 1e308, 2 ** 53, 2 ** 31, "", "a", "\0", "__proto__", "x".repeat(10_000), [], {}],
  ...[[[]], { a: 1 }, ["a"], [-1], { toString: 1 }, { length: 1e9 }, { __proto__: null, constructor: 1 }, Number.NaN],
];

/** A copy of a JSON value in which one part, at any depth, is replaced, removed, or joined by an unknown one. */
export function mutatedJson(value: unknown, random: Random): unknown {
  if (typeof value !== "object" || value === null || random(6) === 0) return oneOf(random, VALUES);
  const entries = Object.entries(value);
  if (entries.length === 0 || random(12) === 0) entries.push([oneOf(random, ["a", "__proto__", "toString", "0"]), 1]);
  const [key, part] = oneOf(random, entries);
  const rest = random(10) === 0 ? [] : [[key, mutatedJson(part, random)] as const];
  const pairs = entries.filter(([name]) => name !== key).concat(rest.map(([name, changed]) => [name, changed]));
  if (Array.isArray(value)) return pairs.map(([, item]) => item);
  return Object.fromEntries(pairs);
}
