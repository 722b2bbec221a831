import { UserError } from "@peekaboo/files/errors";
import { describe, expect, it } from "vitest";
import { fnv1a64 } from "./hash.js";
import { philox4x32 } from "./philox.js";
import { RandomStream } from "./stream.js";

function fill(stream: RandomStream, n: number, from?: number): Uint32Array {
  const out = new Uint32Array(n);
  stream.fillUint32(out, from);
  return out;
}

describe("RandomStream", () => {
  it("keys Philox by the seed and counts (block, hash of the name)", () => {
    const expected = new Uint32Array(4);
    const name = fnv1a64(new TextEncoder().encode("conv1.weight"));
    philox4x32(Uint32Array.of(5, 0, ...name), Uint32Array.of(0xffffffff, 0x1fffff), expected);
    expect(fill(new RandomStream(2 ** 53 - 1, "conv1.weight"), 4, 20)).toEqual(expected);
  });

  it("carries block numbers beyond 32 bits into the second counter word", () => {
    const expected = new Uint32Array(4);
    philox4x32(Uint32Array.of(3, 1, ...fnv1a64(new Uint8Array(0))), new Uint32Array(2), expected);
    expect(fill(new RandomStream(0, ""), 4, 4 * (2 ** 32 + 3))).toEqual(expected);
  });

  it("gives each word by its index alone, wherever and however it is read", () => {
    const stream = new RandomStream(7, "a");
    const all = fill(stream, 64);
    for (let from = 0; from < 9; from++) {
      for (let n = 0; n < 10; n++) expect(fill(stream, n, from)).toEqual(all.subarray(from, from + n));
    }
    expect([63, 0, 17].map((i) => stream.uint32(i))).toEqual([all[63], all[0], all[17]]);
    expect(fill(new RandomStream(7, "a"), 64)).toEqual(all);
  });

  it("tells apart seeds, the high half of the seed, and names", () => {
    const first = ([seed, name]: [number, string]) => fill(new RandomStream(seed, name), 2).join();
    const keys: [number, string][] = [
      [0, "a"],
      [1, "a"],
      [2 ** 32, "a"],
      [0, "b"],
      [0, "é"],
      [0, ""],
    ];
    expect(new Set(keys.map(first)).size).toBe(keys.length);
  });

  it.each([-1, 0.5, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY])("refuses the seed %s", (seed) => {
    const make = () => new RandomStream(seed, "a");
    expect(make).toThrow(UserError);
    expect(make).toThrow(`expected an integer from 0 to 9007199254740991 for seed, received ${seed}.`);
  });

  it("refuses an index that is no position", () => {
    const stream = new RandomStream(0, "a");
    expect(() => stream.uint32(-1)).toThrow(RangeError);
    expect(() => stream.uint32(0.5)).toThrow(RangeError);
    expect(() => fill(stream, 1, Number.NaN)).toThrow("from: expected an integer from 0");
  });
});
