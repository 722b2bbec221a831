import { describe, expect, it } from "vitest";
import { shortened, textWidth } from "./text-width.js";

describe("textWidth", () => {
  // What DejaVu Sans and DejaVu Sans Bold have in their tables.
  it.each([
    ["i", 0.278, 0.343],
    ["r", 0.411, 0.493],
    ["1", 0.636, 0.696],
    ["A", 0.684, 0.774],
    ["<", 0.838, 0.838],
    ["m", 0.974, 1.042],
    ["W", 0.989, 1.103],
    ["\ufffd", 1.025, 1.11],
  ])("takes %s as at least as wide as it is", (character, normal, bold) => {
    for (const [width, drawn] of [
      [textWidth(character, 1), normal],
      [textWidth(character, 1, "bold"), bold],
    ] as const) {
      expect(width).toBeGreaterThanOrEqual(drawn);
      expect(width).toBeLessThan(1.35 * drawn);
    }
  });
});

describe("shortened", () => {
  it("leaves out as little of the middle as it must", () => {
    expect(shortened("nnnnnnnnnn", 64, 10)).toBe("nnnnnnnnnn");
    expect(shortened("nnnnnnnnnn", 63, 10)).toBe("nnn…nnnnn");
  });
});
