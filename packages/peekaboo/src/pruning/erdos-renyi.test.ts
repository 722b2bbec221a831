import { describe, expect, it } from "vitest";
import { erdosRenyiKernelCounts } from "./erdos-renyi.js";

describe("Erdős–Rényi-kernel", () => {
  it("gives layers counts in proportion to the sum of their dimensions, and no more than they have", () => {
    // Sums 6, 14, 14 of 4, 144, 40 weights. For 60 kept, ε = 60/34 would give the first 10.6: it is dense, 56 are shared.
    const shapes = [
      [2, 2, 1, 1],
      [4, 4, 3, 3],
      [10, 4],
    ];
    expect(erdosRenyiKernelCounts(shapes, 60)).toEqual([4, 28, 28]);
    expect(erdosRenyiKernelCounts(shapes, 61)).toEqual([4, 29, 28]);
    // 40 of the last are not enough then: 4 and 40 dense, the rest in the second.
    expect(erdosRenyiKernelCounts(shapes, 100)).toEqual([4, 56, 40]);
    // 17/34 each: 3, 7, 7.
    expect(erdosRenyiKernelCounts(shapes, 17)).toEqual([3, 7, 7]);
    expect(erdosRenyiKernelCounts(shapes, 188)).toEqual([4, 144, 40]);
    expect(erdosRenyiKernelCounts(shapes, 0)).toEqual([0, 0, 0]);
    expect(() => erdosRenyiKernelCounts(shapes, 189)).toThrow(RangeError);
  });

  it("adds up to the target for every target", () => {
    const shapes = [[16, 3, 3, 3], [16, 16, 3, 3], [7, 16, 1, 1], [5, 7], [1]];
    const total = 16 * 27 + 16 * 144 + 7 * 16 + 35 + 1;
    for (let kept = 0; kept <= total; kept++) {
      const counts = erdosRenyiKernelCounts(shapes, kept);
      expect(counts.reduce((a, b) => a + b)).toBe(kept);
      counts.forEach((count, i) => {
        expect(count).toBeGreaterThanOrEqual(0);
        expect(count).toBeLessThanOrEqual((shapes[i] as number[]).reduce((a, b) => a * b));
      });
    }
  });
});
