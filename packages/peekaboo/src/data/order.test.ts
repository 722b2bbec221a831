import { UserError } from "@peekaboo/files/errors";
import { describe, expect, it } from "vitest";
import { augmentation, epochOrder, sampleWithoutReplacement } from "./order.js";

describe("epochOrder", () => {
  it("visits every image once", () => {
    expect([...epochOrder(0, 0, 500).sort()]).toEqual(Array.from({ length: 500 }, (_, i) => i));
  });

  it("is the same for the same seed and epoch, and another for another", () => {
    const order = epochOrder(4, 2, 500);
    expect(epochOrder(4, 2, 500)).toEqual(order);
    expect(epochOrder(4, 3, 500)).not.toEqual(order);
    expect(epochOrder(5, 2, 500)).not.toEqual(order);
  });

  it("refuses an epoch that is none", () => {
    expect(() => epochOrder(0, -1, 5)).toThrow("epoch: expected an integer from 0");
  });
});

describe("sampleWithoutReplacement", () => {
  it("chooses different images by seed and name", () => {
    const sample = sampleWithoutReplacement(0, "prune", 50_000, 100);
    expect(new Set(sample).size).toBe(100);
    expect(sample.every((i) => i >= 0 && i < 50_000)).toBe(true);
    expect(sampleWithoutReplacement(0, "prune", 50_000, 100)).toEqual(sample);
    expect(sampleWithoutReplacement(1, "prune", 50_000, 100)).not.toEqual(sample);
    expect(sampleWithoutReplacement(0, "other", 50_000, 100)).not.toEqual(sample);
  });

  it("takes all when all are asked for, and refuses more", () => {
    expect([...sampleWithoutReplacement(0, "all", 10, 10).sort()]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    const tooMany = () => sampleWithoutReplacement(0, "all", 10, 11);
    expect(tooMany).toThrow(UserError);
    expect(tooMany).toThrow("expected at most the 10 items there are for count, received 11");
  });
});

describe("augmentation", () => {
  const indices = Array.from({ length: 9000 }, (_, i) => i);

  it("treats an image alike in whatever batch it comes", () => {
    const { dy, dx, flip } = augmentation(1, 2, indices);
    const part = augmentation(1, 2, Int32Array.of(8999, 3, 0));
    expect([...part.dy]).toEqual([dy[8999], dy[3], dy[0]]);
    expect([...part.dx]).toEqual([dx[8999], dx[3], dx[0]]);
    expect([...part.flip]).toEqual([flip[8999], flip[3], flip[0]]);
  });

  it("differs from epoch to epoch and from seed to seed", () => {
    const { dy } = augmentation(1, 2, indices);
    expect(augmentation(1, 3, indices).dy).not.toEqual(dy);
    expect(augmentation(2, 2, indices).dy).not.toEqual(dy);
  });

  it("crops at each of the 9 × 9 offsets, flipped or not, equally often", () => {
    const { dy, dx, flip } = augmentation(0, 0, indices);
    const cells = 2 * 9 * 9;
    const counts = new Array<number>(cells).fill(0);
    for (const i of indices) {
      const cell = ((dy[i] ?? 0) * 9 + (dx[i] ?? 0)) * 2 + (flip[i] ?? 0);
      counts[cell] = (counts[cell] ?? 0) + 1;
    }
    expect(counts.length).toBe(cells);
    const expected = indices.length / cells;
    const chiSquare = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    expect(chiSquare).toBeLessThan(221); // the 0.1 % point for 161 degrees of freedom
  });

  it("leaves the image where it is without padding, and takes an empty batch", () => {
    const { dy, dx } = augmentation(0, 0, [0, 1, 2], 0);
    expect([...dy, ...dx]).toEqual([0, 0, 0, 0, 0, 0]);
    expect(augmentation(0, 0, [])).toEqual({ dy: new Int32Array(0), dx: new Int32Array(0), flip: new Uint8Array(0) });
  });

  it("refuses an index that is no image", () => {
    expect(() => augmentation(0, 0, [-1])).toThrow(RangeError);
  });
});
