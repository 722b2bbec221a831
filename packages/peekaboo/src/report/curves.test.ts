import { describe, expect, it } from "vitest";
import { envelope, type Point, quantile, smooth, thin } from "./curves.js";

const line = (length: number, value = (index: number) => index): Point[] =>
  Array.from({ length }, (_, index) => [index, value(index)]);

describe("smooth", () => {
  it("takes the mean of a window that narrows at the start and is cut at the end", () => {
    expect(smooth([8, 2, 5, 8, 2], 1)).toEqual([8, 5, 5, 5, 5]);
  });

  it("leaves the values alone with radius 0, also a single one or none", () => {
    expect(smooth([3, 1, 2], 0)).toEqual([3, 1, 2]);
    expect(smooth([7], 5)).toEqual([7]);
    expect(smooth([], 5)).toEqual([]);
  });

  it("leaves NaN as it is, and out of the means", () => {
    expect(smooth([8, 2, Number.NaN, 4, 8], 1)).toEqual([8, 5, Number.NaN, 6, 6]);
  });
});

describe("thin", () => {
  it("keeps evenly spaced points with both ends", () => {
    expect(thin(line(9), 5).map(([step]) => step)).toEqual([0, 2, 4, 6, 8]);
    expect(thin(line(10), 2).map(([step]) => step)).toEqual([0, 9]);
  });

  it.each([
    [10, 4],
    [1000, 999],
    [100_000, 480],
    [7919, 500],
  ])("of %d points keeps just %d", (length, limit) => {
    const kept = thin(line(length), limit);
    expect(kept).toHaveLength(limit);
    expect(kept.at(0)).toEqual([0, 0]);
    expect(kept.at(-1)).toEqual([length - 1, length - 1]);
  });

  it("keeps all where they are few", () => {
    expect(thin(line(3), 3)).toEqual(line(3));
  });
});

describe("envelope", () => {
  it("keeps each bucket's lowest and highest in their order", () => {
    const points: Point[] = [1, 9, 5, 0, 4, 4, 8, 2].map((value, index) => [index, value]);
    expect(envelope(points, 2)).toEqual([
      [1, 9],
      [3, 0],
      [6, 8],
      [7, 2],
    ]);
  });

  it("keeps a level bucket's first point alone", () => {
    expect(
      envelope(
        line(6, () => 3),
        2,
      ),
    ).toEqual([
      [0, 3],
      [3, 3],
    ]);
  });

  it("keeps NaN of a bucket that has nothing else", () => {
    const points: Point[] = [Number.NaN, Number.NaN, Number.NaN, 4, 5, Number.NaN].map((value, index) => [
      index,
      value,
    ]);
    expect(envelope(points, 2)).toEqual([
      [0, Number.NaN],
      [3, 4],
      [4, 5],
    ]);
  });

  it("keeps a single spike among 100,000 points", () => {
    const kept = envelope(
      line(100_000, (index) => (index === 61_234 ? 50 : 1)),
      480,
    );
    expect(kept.length).toBeLessThanOrEqual(960);
    expect(kept).toContainEqual([61_234, 50]);
  });

  it("keeps all where they are few", () => {
    expect(envelope(line(6), 3)).toEqual(line(6));
  });
});

describe("quantile", () => {
  it("finds the value below which that share lies", () => {
    expect(quantile([30, 10, 20, 40], 0.5)).toBe(30);
    expect(quantile([30, 10, 20, 40], 1)).toBe(40);
    expect(quantile([], 0.5)).toBeNaN();
  });
});
