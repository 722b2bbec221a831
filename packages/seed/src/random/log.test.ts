import { describe, expect, it } from "vitest";
import { openUniform01 } from "./distributions.js";
import { naturalLog } from "./log.js";
import { RandomStream } from "./stream.js";

const stream = new RandomStream(1, "log");
const draw = (i: number) => openUniform01(stream.uint32(2 * i), stream.uint32(2 * i + 1));

describe("naturalLog", () => {
  it("gives the correctly rounded logarithms of some numbers", () => {
    expect(naturalLog(1)).toBe(0);
    expect(naturalLog(2)).toBe(Math.LN2);
    expect(naturalLog(10)).toBe(Math.LN10);
    expect(naturalLog(0.5)).toBe(-Math.LN2);
    expect(naturalLog(2 ** -53)).toBe(-36.7368005696771);
    expect(naturalLog(Number.MAX_VALUE)).toBe(709.782712893384);
    expect(naturalLog(Number.MIN_VALUE)).toBe(-744.4400719213812);
    expect(naturalLog(1 + Number.EPSILON)).toBe(2 ** -52 - 2 ** -105);
    expect(naturalLog(1 - Number.EPSILON / 2)).toBe(-(2 ** -53));
  });

  it.each([
    ["(0, 1)", (p: number) => p],
    ["the neighbourhood of 1", (p: number) => 1 + (p - 0.5) / 1000],
    ["large numbers", (p: number) => p * 1e300],
    ["tiny numbers", (p: number) => p * 1e-300],
    ["subnormal numbers", (p: number) => p * 2e-308],
  ])("agrees with Math.log to 1e-15, relative, over %s", (_, map) => {
    for (let i = 0; i < 10_000; i++) {
      const x = map(draw(i));
      const expected = Math.log(x);
      expect(Math.abs(naturalLog(x) - expected)).toBeLessThanOrEqual(1e-15 * Math.abs(expected));
    }
  });

  it("has the limits of the logarithm at the ends of its domain", () => {
    expect(naturalLog(0)).toBe(Number.NEGATIVE_INFINITY);
    expect(naturalLog(-0)).toBe(Number.NEGATIVE_INFINITY);
    expect(naturalLog(Number.POSITIVE_INFINITY)).toBe(Number.POSITIVE_INFINITY);
    expect(naturalLog(-1)).toBeNaN();
    expect(naturalLog(Number.NaN)).toBeNaN();
  });
});
