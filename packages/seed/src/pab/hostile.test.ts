// Files that mean no good: `npm run test:faults` tries ten thousand more.
import { UserError } from "@peekaboo/files/errors";
import { describe, expect, it } from "vitest";
import { requestedBytes } from "../../../../tests/faults/allocations.js";
import {
  damagedPab,
  demo,
  descriptionText,
  repairedPab,
  smallFile,
  type Written,
  withDescription,
  withDescriptionText,
} from "../../../../tests/faults/pab-files.js";
import { type Random, randomOf } from "../../../../tests/faults/random.js";
import { packSections, unpackSections } from "./container.js";
import { decodePab } from "./decode.js";
import { parseDescription } from "./description.js";

const MEBIBYTE = 2 ** 20;
/** A mutation may leave a network of a million numbers, or 600 for each of its bytes, each with its mask, sign and logarithm. */
const mostMemory = (bytes: number) => 64 * (MEBIBYTE + 600 * bytes) + 16 * MEBIBYTE;

/** What became of reading a file: a refusal's sentence, or its network; a fault if anything else came of it, or too late. */
function outcome(bytes: Uint8Array): string {
  const [begun, before] = [process.cpuUsage(), requestedBytes()];
  const told = (() => {
    try {
      const { description, tensors } = decodePab(bytes);
      for (const { name, shape } of description.tensors) expect(tensors.get(name)?.shape).toEqual(shape);
      return "read";
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      return error.message;
    }
  })();
  const { user, system } = process.cpuUsage(begun);
  expect((user + system) / 1e6).toBeLessThan(1);
  expect(requestedBytes() - before).toBeLessThan(mostMemory(bytes.length));
  return told;
}

function outcomes(count: number, name: string, make: (random: Random) => Uint8Array): string[] {
  return Array.from({ length: count }, (_, index) => outcome(make(randomOf(1, `${name}/${index}`))));
}

describe("decodePab", () => {
  it("refuses every cut and change of a file", () => {
    expect(outcomes(600, "damaged", damagedPab).filter((told) => told === "read").length).toBeLessThan(3);
    for (let length = 0; length < smallFile.length; length++)
      expect(outcome(smallFile.subarray(0, length))).toContain("read a .pab file: expected");
  });

  it("reads or refuses files whose checksums are right again", () => {
    const all = outcomes(150, "repaired", repairedPab);
    const read = all.filter((told) => told === "read").length;
    expect(read).toBeGreaterThan(5);
    expect(new Set(all).size).toBeGreaterThan(30);
  });

  it("refuses sections that end too early, though the checksums are right", () => {
    for (const name of ["description", "masks", "signs", "numbers"] as const) {
      const sections = unpackSections(demo);
      const cut = { ...sections, [name]: sections[name].subarray(0, sections[name].length >> 1) };
      expect(outcome(packSections(cut)), name).not.toBe("read");
    }
  });
});

type Row = unknown[];
const tensors = (value: Written) => value.tensors as Row[];
const nodes = (value: Written) => value.nodes as Row[];

/** The small network's description with the n-th tensor's shape replaced. */
const shaped = (n: number, shape: unknown) => (value: Written) => {
  tensors(value)[n]?.splice(1, 1, shape);
  return value;
};
/** …with the n-th node's settings, or parts of them, replaced. */
const set = (n: number, settings: object) => (value: Written) => {
  const node = nodes(value)[n] ?? [];
  node[2] = { ...(node[2] as object), ...settings };
  return value;
};
const put = (part: object) => (value: Written) => ({ ...value, ...part });
const inputs = (n: number, from: unknown) => (value: Written) => {
  nodes(value)[n]?.splice(1, 1, from);
  return value;
};

describe("a description", () => {
  it.each<[string, (value: Written) => unknown, string]>([
    ["whose node takes its own value", inputs(2, 3), "a value from 0 to 2 for node 2 (relu), received 3"],
    ["whose node takes a later value", inputs(5, [4, 9]), "a value from 0 to 5 for node 5 (add), received 9"],
    ["whose node takes no value", inputs(2, -1), "whole numbers from 0"],
    ["whose sum has three values", inputs(5, [4, 5, 4]), "two of an addition"],
    ["whose sum has values of two shapes", inputs(5, [4, 3]), "two values of one shape"],
    ["without nodes", put({ nodes: [] }), "128 names"],
    ["of a negative size", shaped(0, [4, -1, 3, 3]), "whole numbers from 0"],
    ["of a size of 0", shaped(0, [4, 0, 3, 3]), "positive sizes"],
    ["of a fraction of a size", shaped(0, [4, 1.5, 3, 3]), "whole numbers from 0"],
    ["of a size that is no number", shaped(0, [4, null, 3, 3]), "whole numbers from 0"],
    ["of a size beyond all", shaped(0, [4, 2 ** 40, 3, 3]), "whole numbers from 0"],
    ["of a size as text", shaped(0, ["4", 1, 3, 3]), "whole numbers from 0"],
    ["of sizes whose product overflows", shaped(4, [2 ** 31, 2 ** 31, 2 ** 31]), "positive sizes"],
    ["of sizes that the file can't pay for", shaped(4, [2 ** 20, 24]), "at most"],
    ["of sizes that are no list", shaped(0, { length: 4 }), "a list of at most 4"],
    ["of five dimensions", shaped(0, [4, 1, 3, 3, 1]), "a list of at most 4"],
    ["of a convolution's weight with two dimensions", shaped(0, [4, 9]), "a with 4 dimensions"],
    ["of a Linear weight for another size", shaped(4, [3, 25]), "c of shape [3, 24]"],
    ["of groups that don't divide", set(0, { groups: 3 }), "groups that divide 2 and 4 channels"],
    ["of no groups", set(0, { groups: 0 }), "groups that divide"],
    ["of a normalisation's groups that don't divide", set(13, { groups: 4 }), "groups that divide 6 channels"],
    ["of a normalisation's groups beyond all", set(13, { groups: 2 ** 40 }), "whole numbers from 0"],
    ["of no eps", set(13, { eps: 0 }), "an eps from 1e-12 up for node 13 (group_norm), received 0"],
    ["of a negative eps", set(13, { eps: -1 }), "an eps from 1e-12 up"],
    ["of an eps that is no number", set(13, { eps: "1" }), "a number for eps"],
    [
      "of a scale for other channels",
      set(13, { scale: "scale" }),
      "scale of shape [6] for node 13 (group_norm), received [4]",
    ],
    ["of an unknown approximation", set(10, { approximate: "sigmoid" }), "one of none, tanh for approximate"],
    ["that joins one value", inputs(12, [11]), "two or more that are joined"],
    ["that joins no value", inputs(12, []), "two or more that are joined"],
    ["that joins a later value", inputs(12, [11, 13]), "a value from 0 to 12 for node 12 (concat), received 13"],
    ["that joins values of two sizes", inputs(12, [11, 4]), "values of one height and width"],
    [
      "that joins a value with itself more often than memory holds",
      put({ nodes: Array.from({ length: 40 }, (_, i) => ["concat", [i, i]]) }),
      "three positive sizes, at most 134217728 numbers for node 20 (concat)",
    ],
    ["of a stride of 0", set(0, { stride: 0 }), "from 1 up"],
    ["of a huge padding", set(0, { padding: 2 ** 30 }), "from 0 up"],
    ["of a padding that makes a huge value", set(0, { padding: 2 ** 20 }), "three positive sizes"],
    ["of a kernel beyond the image", set(0, { dilation: 9 }), "three positive sizes"],
    ["of a pool's padding beyond half its kernel", set(3, { padding: 2 }), "at most half a kernel"],
    [
      "of a pool's dilation beyond the image",
      set(3, { dilation: [1, 9] }),
      "dilations of a maximum, at most the image's sides",
    ],
    ["of a pool's dilation of 0", set(3, { dilation: 0 }), "from 1 up"],
    ["of a subsampling with a huge number of channels", set(4, { before: 2 ** 31 }), "channels before and after"],
    ["of a reshape to another size", set(8, { shape: [23, 1, 1] }), "a shape of 24 numbers"],
    ["of a reshape to two sizes", set(8, { shape: [24, 1] }), "three sizes"],
    ["of an absurd image", put({ input: [2, 100_000, 100_000] }), "three positive sizes"],
    ["of an image without pixels", put({ input: [2, 0, 8] }), "three positive sizes"],
    ["of an unknown operation", (value) => put({ nodes: [["softmax", 0]] })(value), 'received "softmax"'],
    ["of an operation's name from the prototype", put({ nodes: [["__proto__", 0]] }), 'received "__proto__"'],
    ["of a weight that isn't there", set(0, { weight: "toString" }), "a tensor that is there"],
    ["of a name that is no text", set(0, { weight: 1 }), "a text of at most"],
    [
      "of two tensors of a name",
      (value) => put({ tensors: [...tensors(value), tensors(value)[0]] })(value),
      "different",
    ],
    ["of an unknown storage", put({ tensors: [["a", [1], "int8"]] }), "one of signs, float16, float32"],
    ["of signs for a vector", put({ tensors: [["a", [9], "signs"]] }), "two sizes or more"],
    ["of means for another number of channels", put({ mean: [0.5] }), "2 numbers for mean"],
    ["of too many means", put({ mean: [0.5, 0.5, 0.5] }), "a list of at most 2"],
    ["of deviations for another number of channels", put({ std: [0.5] }), "2 numbers for std"],
    ["of a deviation of 0", put({ std: [0.2, 0] }), "numbers from 0.000001 up for std"],
    ["of a negative deviation", put({ std: [0.2, -1] }), "numbers from 0.000001 up for std"],
    ["of a crop of 0", put({ crop: 0 }), "a fraction of the shorter side"],
    ["of fewer classes than logits", put({ classes: ["a", "b"] }), "3 names, one for each logit"],
    ["of more classes than logits", put({ classes: ["a", "b", "c", "d"] }), "3 names, one for each logit"],
    ["of a negative seed", put({ seed: -1 }), "whole numbers from 0"],
    ["of a seed beyond all", put({ seed: 2 ** 60 }), "whole numbers from 0"],
    ["that is null", () => null, "an object for the description"],
    ["that is a list", () => [], "an object for the description"],
    ["without provenance", put({ provenance: null }), "an object for provenance"],
  ])("%s is refused", (_, change, sentence) => {
    expect(outcome(withDescription(smallFile, change))).toContain(sentence);
  });

  it("of a hundred thousand tensors or nodes is refused, or paid for", () => {
    const row = (i: number) => [`t${i}`, [2], "float16", "random"];
    const many = Array.from({ length: 100_001 }, (_, i) => row(i));
    const value = JSON.parse(descriptionText(smallFile).toString());
    expect(() => parseDescription(JSON.stringify({ ...value, tensors: many }))).toThrow("a list of at most 100000");
    const some = (known: Written) => put({ tensors: [...tensors(known), ...many.slice(0, 12_000)] })(known);
    expect(outcome(withDescription(smallFile, some))).toContain("at most 2 kept weights");
    const deep = (known: Written) => put({ nodes: [...Array(9000).fill(["relu", 0]), ...nodes(known)] })(known);
    expect(outcome(withDescription(smallFile, deep))).toContain("a text of at most");
  });

  it("is no JSON, too deep, no UTF-8, or too long for what it takes", () => {
    const text = (content: string | Uint8Array) => outcome(withDescriptionText(smallFile, Buffer.from(content)));
    expect(text("")).toContain("expected JSON");
    expect(text("{")).toContain("expected JSON");
    expect(text(`${"[".repeat(5000)}${"]".repeat(5000)}`)).toContain("nested more than 64 deep");
    for (const bytes of [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x82]])
      expect(text(Uint8Array.from(bytes))).toContain("UTF-8");
    expect(text(" ".repeat(2 ** 16))).toContain("a text of at most");
  });

  it("has keys of the prototype as plain data", () => {
    const text = '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"toString":1}';
    const file = withDescription(smallFile, put({ provenance: JSON.parse(text) }));
    expect(JSON.stringify(decodePab(file).description.provenance)).toBe(text);
    expect("polluted" in {}).toBe(false);
  });

  it("keeps no more weights than there are", () => {
    const described = withDescription(smallFile, (value) => {
      tensors(value)[0]?.push("random");
      return value;
    });
    expect(outcome(described)).toMatch(
      /at most 36 kept weights|enough bytes|no byte after its last|finite|within bounds/,
    );
  });
});

describe("a container", () => {
  const patched = (at: number, ...bytes: number[]) => {
    const file = Buffer.from(smallFile);
    file.set(bytes, at);
    return outcome(file);
  };

  it("of another version, or with other sections, is refused", () => {
    expect(patched(8, 2)).toContain("expected 1 for the version, received 2; read it with a newer peekaboo");
    expect(patched(8, 0)).toContain("the version");
    expect(patched(9, 0)).toContain("the number of sections");
    expect(patched(9, 255)).toContain("the number of sections");
    expect(patched(10, 2)).toContain("the checksum of the description");
    expect(patched(11, 0xff, 0xff, 0xff, 0xff)).toContain("the length");
    expect(outcome(new Uint8Array())).toContain("by its first eight bytes");
    expect(outcome(Buffer.concat([smallFile, Buffer.alloc(1)]))).toContain("the length");
  });
});
