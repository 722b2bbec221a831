import { UserError } from "@peekaboo/files/errors";
import { describe, expect, it } from "vitest";
import { shuffledMask } from "./shuffled-mask.js";
import { RandomStream } from "./stream.js";

const SHAPE = [8, 16, 3, 3];
const TOTAL = 1152;
const ones = (mask: Uint8Array) => mask.reduce((sum, bit) => sum + bit, 0);

describe("a shuffled mask", () => {
  it("keeps the positions of the smallest words of the layer's stream", () => {
    const words = new Uint32Array(TOTAL);
    new RandomStream(3, "prune/shuffle/conv1.weight").fillUint32(words);
    const order = [...words.keys()].sort((a, b) => (words[a] ?? 0) - (words[b] ?? 0) || a - b);
    for (const kept of [0, 1, 2, 345, 1151, 1152]) {
      const expected = new Uint8Array(TOTAL);
      for (const position of order.slice(0, kept)) expected[position] = 1;
      expect(shuffledMask(3, "conv1.weight", SHAPE, kept)).toEqual(expected);
    }
  });

  it("stays what it was when it was first made", () => {
    const kept = [...shuffledMask(1, "conv1.weight", [2, 3, 3, 3], 8)].flatMap((bit, i) => (bit === 1 ? [i] : []));
    expect(kept).toEqual([1, 29, 31, 38, 39, 45, 47, 50]);
  });

  it("lies within that of a larger number", () => {
    let before: Uint8Array = new Uint8Array(TOTAL);
    for (let kept = 0; kept <= TOTAL; kept += 96) {
      const mask = shuffledMask(0, "layer", SHAPE, kept);
      expect(ones(mask)).toBe(kept);
      expect(mask.every((bit, i) => bit >= (before[i] ?? 0))).toBe(true);
      before = mask;
    }
  });

  it("differs from layer to layer and from seed to seed as chance has it", () => {
    const mask = shuffledMask(0, "a", [100, 1000], 50_000);
    for (const other of [shuffledMask(0, "b", [100, 1000], 50_000), shuffledMask(1, "a", [100, 1000], 50_000)]) {
      const common = mask.reduce((sum, bit, i) => sum + bit * (other[i] ?? 0), 0);
      // Hypergeometric: mean 25,000, standard deviation 79.
      expect(Math.abs(common - 25_000)).toBeLessThan(400);
    }
    // No part of the layer is favoured: a tenth holds 5,000 ± 47.
    for (let start = 0; start < 100_000; start += 10_000) {
      expect(Math.abs(ones(mask.subarray(start, start + 10_000)) - 5000)).toBeLessThan(240);
    }
  });

  it("refuses numbers that no mask has", () => {
    for (const kept of [-1, 1153, 1.5, Number.NaN]) {
      expect(() => shuffledMask(0, "a", SHAPE, kept)).toThrow(RangeError);
    }
    expect(() => shuffledMask(-1, "a", SHAPE, 3)).toThrow(UserError);
  });
});
