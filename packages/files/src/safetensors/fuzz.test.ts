import { expect, it } from "vitest";
import { UserError } from "../errors.js";
import { encodeSafetensors, parseSafetensors, type SafetensorsFile } from "./format.js";

const INPUTS = 6000;

/** Xorshift32 (Marsaglia 2003): the same inputs on every machine. */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

const valid = new Uint8Array(
  Buffer.concat(
    encodeSafetensors(
      [
        ["conv.weight", { dtype: "F32", shape: [2, 3], data: new Uint8Array(24).fill(0x3f) }],
        ["mask", { dtype: "BOOL", shape: [5], data: new Uint8Array([1, 0, 1, 1, 0]) }],
        ["step", { dtype: "I64", shape: [], data: new Uint8Array(8) }],
        ["none", { dtype: "F16", shape: [0, 4], data: new Uint8Array(0) }],
      ],
      { format: "pt", epoch: "3" },
    ),
  ),
);
const headerEnd = 8 + Number(new DataView(valid.buffer).getBigUint64(0, true));

/** Pieces of grammar and values at the edges of what numbers hold. */
const TOKENS = [
  "{",
  "}",
  "[",
  "]",
  ",",
  ":",
  '"',
  "\\",
  "0",
  "-1",
  "1e9",
  "4294967296",
  "9007199254740993",
  "null",
  " ",
];
const NAMES = ["F64", "U8", "dtype", "shape", "__metadata__", "__proto__", "mask", "\\u006d"];

type Random = (below: number) => number;
type Mutation = (bytes: Uint8Array, random: Random) => Uint8Array;

const spliced = (bytes: Uint8Array, at: number, removed: number, inserted: Uint8Array) =>
  new Uint8Array(Buffer.concat([bytes.subarray(0, at), inserted, bytes.subarray(at + removed)]));

/** The header edited as text, its length field kept true so that the edit is reached. */
function editedHeader(bytes: Uint8Array, edit: (header: string) => string): Uint8Array {
  const edited = new TextEncoder().encode(edit(new TextDecoder().decode(bytes.subarray(8, headerEnd))));
  const file = spliced(bytes, 8, headerEnd - 8, edited);
  new DataView(file.buffer).setBigUint64(0, BigInt(edited.byteLength), true);
  return file;
}

const replacedMatch = (header: string, pattern: RegExp, replacement: string, random: Random) => {
  const matches = [...header.matchAll(pattern)];
  const match = matches[random(matches.length)];
  return header.slice(0, match?.index) + replacement + header.slice((match?.index ?? 0) + (match?.[0].length ?? 0));
};

const MUTATIONS: Mutation[] = [
  function flipBit(bytes, random) {
    const at = random(bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << random(8));
    return bytes;
  },
  function changeLength(bytes, random) {
    bytes[random(8)] = random(256);
    return bytes;
  },
  (bytes, random) => bytes.slice(0, random(bytes.length)),
  (bytes, random) => spliced(bytes, random(bytes.length), random(9), new Uint8Array(random(9)).fill(random(256))),
  (bytes, random) =>
    editedHeader(bytes, (header) => {
      const at = random(header.length);
      return header.slice(0, at) + (TOKENS[random(TOKENS.length)] ?? "") + header.slice(at + random(3));
    }),
  (bytes, random) => editedHeader(bytes, (header) => replacedMatch(header, /\d+/g, `${random(48)}`, random)),
  (bytes, random) =>
    editedHeader(bytes, (header) => replacedMatch(header, /[\w.]+(?=")/g, NAMES[random(NAMES.length)] ?? "", random)),
];

function parseOrRefuse(file: Uint8Array): SafetensorsFile | UserError {
  try {
    return parseSafetensors(file, "mutated");
  } catch (error) {
    if (error instanceof UserError) return error;
    throw new Error(`not a UserError, from the file ${Buffer.from(file).toString("latin1")}`, { cause: error });
  }
}

/** What must hold of any file that is accepted. */
function checkAccepted({ tensors, metadata }: SafetensorsFile, file: Uint8Array): void {
  const total = [...tensors.values()].reduce((sum, { data }) => sum + data.byteLength, 0);
  const length = Number(new DataView(file.buffer).getBigUint64(0, true));
  expect(total).toBe(file.byteLength - 8 - length);
  for (const { data } of tensors.values()) expect(data.buffer).toBe(file.buffer);
  const again = parseSafetensors(new Uint8Array(Buffer.concat(encodeSafetensors(tensors, metadata))), "again");
  expect([...again.tensors]).toEqual([...tensors]);
  expect(Object.entries(again.metadata)).toEqual(Object.entries(metadata));
}

it(`of ${INPUTS} mutated files each is refused by a UserError or is wholly valid`, () => {
  const random = generator(0x5eed);
  const reasons = new Set<string>();
  let accepted = 0;
  for (let input = 0; input < INPUTS; input++) {
    let file: Uint8Array = valid.slice();
    for (let count = 1 + random(2); count > 0; count--) {
      if (file.byteLength > headerEnd) file = MUTATIONS[random(MUTATIONS.length)]?.(file, random) ?? file;
    }
    const parsed = parseOrRefuse(file);
    if (parsed instanceof UserError) {
      reasons.add(parsed.message.replace(/ for .*/, "").replaceAll(/\d+/g, "N"));
    } else {
      checkAccepted(parsed, file);
      accepted++;
    }
  }
  // The mutations must reach deep: many kinds of refusal, and some files that stay valid.
  expect(reasons.size).toBeGreaterThan(25);
  expect(accepted).toBeGreaterThan(200);
  expect(accepted).toBeLessThan(INPUTS / 2);
});
