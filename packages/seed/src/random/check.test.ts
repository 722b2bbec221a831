import { describe, expect, it } from "vitest";
import { checkSeed } from "./check.js";

describe("checkSeed", () => {
  it("returns the smallest and the largest seed", () => {
    expect(checkSeed(0)).toBe(0);
    expect(checkSeed(2 ** 53 - 1)).toBe(9007199254740991);
  });

  it("shows what is not a number as it is written", () => {
    expect(() => checkSeed("12")).toThrow(
      'seed random numbers: expected an integer from 0 to 9007199254740991 for seed, received "12".',
    );
    expect(() => checkSeed(undefined)).toThrow("received undefined.");
  });
});
