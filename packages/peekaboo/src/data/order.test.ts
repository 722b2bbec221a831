import { readFileSync } from "node:fs";
import { UserError } from "@peekaboo/files/errors";
import { fnv1a64 } from "@peekaboo/seed";
import { describe, expect, it } from "vitest";
import { augmentation, epochOrder, sampleWithoutReplacement } from "./order.js";

interface Vectors {
  epochOrder: { seed: number; epoch: number; n: number; first: number[]; checksum: string };
  augmentation: { seed: number; epoch: number; indices: number[]; dy: number[]; dx: number[]; flip: number[] };
}

const vectors: Vectors = JSON.parse(readFileSync(new URL("./order-vectors.json", import.meta.url), "utf8"));

function checksum(values: Int32Array): string {
  const hexadecimal = (word: number) => word.toString(16).padStart(8, "0");
  const [low, high] = fnv1a64(new Uint8Array(values.buffer));
  return hexadecimal(high) + hexadecimal(low);
}

describe("the committed vectors", () => {
  it("fix the order of an epoch", () => {
    const { seed, epoch, n, first, checksum: expected } = vectors.epochOrder;
    const order = epochOrder(seed, epoch, n);
    expect([...order.slice(0, first.length)]).toEqual(first);
    expect(checksum(order)).toBe(expected);
  });

  it("fix the augmentation", () => {
    const { seed, epoch, indices, dy, dx, flip } = vectors.augmentation;
    expect(augmentation(seed, epoch, indices)).toEqual({
      dy: Int32Array.from(dy),
      dx: Int32Array.from(dx),
      flip: Uint8Array.from(flip),
    });
  });
});

describe("the order's source", () => {
  // ECMAScript leaves the results of other functions to the engine.
  it("uses only arithmetic that IEEE 754 fixes", () => {
    const code = readFileSync(new URL("./order.ts", import.meta.url), "utf8").replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, "");
    const exact = ["Math.sqrt", "Math.abs", "Math.floor", "Math.min", "Math.imul"];
    expect((code.match(/Math\.\w+/g) ?? []).filter((f) => !exact.includes(f))).toEqual([]);
    expect(code).not.toMatch(/\*\*/);
  });
});

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
