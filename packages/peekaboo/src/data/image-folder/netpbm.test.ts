import { describe, expect, it } from "vitest";
import { decodeNetpbm } from "./netpbm.js";

const MAX = 1_000_000;
const read = (...parts: (string | Buffer)[]) =>
  decodeNetpbm(Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part) : part))), MAX);
const rgb = (...parts: (string | Buffer)[]) => [...read(...parts).data];
const grey = (...values: number[]) => values.flatMap((value) => [value, value, value]);

describe("decodeNetpbm", () => {
  it("reads colours in bytes and in digits", () => {
    expect(read("P6\n2 1\n255\n", Buffer.of(1, 2, 3, 4, 5, 6))).toEqual({
      data: Uint8Array.of(1, 2, 3, 4, 5, 6),
      width: 2,
      height: 1,
    });
    expect(rgb("P3\n# feep.ppm\n2 2\n15\n 0 0 0  15 0 15\n 0 15 7 # here\n 1 2 3\n")).toEqual([
      ...[0, 0, 0, 255, 0, 255],
      ...[0, 255, 119, 17, 34, 51],
    ]);
  });

  it("reads grey, of one byte and of two", () => {
    expect(rgb("P5 2 1 255\n", Buffer.of(10, 255))).toEqual(grey(10, 255));
    expect(rgb("P5 2 1 65535\n", Buffer.of(128, 128, 255, 255))).toEqual(grey(128, 255));
    expect(rgb("P5 2 1 100\n", Buffer.of(50, 200))).toEqual(grey(128, 255));
    expect(rgb("P2\t2\r\n1 # of two\n7 0 7")).toEqual(grey(0, 255));
  });

  it("reads bits, of which 1 is black, blanks between them or not", () => {
    expect(rgb("P4\n9 2\n", Buffer.of(0b10000000, 0b10000000, 0, 0b01111111))).toEqual(
      grey(0, 255, 255, 255, 255, 255, 255, 255, 0, ...Array(9).fill(255)),
    );
    expect(rgb("P1\n3 2\n101\n0 1 0")).toEqual(grey(0, 255, 0, 255, 0, 255));
  });

  it("takes the first image of several", () => {
    expect(rgb("P5 1 1 255\n", Buffer.of(7), "P5 1 1 255\n", Buffer.of(9))).toEqual(grey(7));
  });

  it.each([
    ["bytes that end early", "P6 2 2 255\n12345", "truncated"],
    ["digits that end early", "P3 2 2 255\n1 2 3", "truncated"],
    ["a comment without an end", "P3 # 2 2 255", "truncated"],
    ["a huge claim", "P6 100000 100000 255\n", "of 100000 × 100000 pixels"],
    ["numbers without an end", `P6 ${"9".repeat(100_000)} 1 255\n`, "pixels"],
    ["a claim of many digits", "P2 1000 1000 255\n1 2", "truncated"],
    ["no pixels", "P6 0 2 255\n", "of 0 × 2 pixels"],
    ["a largest value that is none", "P6 1 1 0\n123", "values up to 0"],
    ["a largest value above its limit", "P6 1 1 70000\n123", "values up to 70000"],
    ["other text", "P3 1 1 255 red 0 0", "other text than numbers"],
    ["a negative size", "P6 -1 1 255\n123", "other text than numbers"],
    ["another digit than a bit's", "P1 1 1 7", "the bit 7"],
  ])("refuses %s", (_, text, words) => {
    expect(() => read(text)).toThrow(words);
  });
});
