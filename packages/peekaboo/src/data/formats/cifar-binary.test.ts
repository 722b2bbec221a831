import { describe, expect, it } from "vitest";
import { decodeCifarBinary } from "./cifar-binary.js";

const image = { height: 1, width: 2, channels: 3 };
const batches = { train: ["a.bin", "b.bin"], test: ["t.bin"] };
/** The red plane, the green, the blue. */
const planes = [10, 20, 30, 40, 50, 60];

describe("decodeCifarBinary", () => {
  it("puts the channels last and the batches one after another", async () => {
    const files = new Map([
      ["b.bin", Uint8Array.of(9, 1, 2, 3, 4, 5, 6)],
      ["a.bin", Uint8Array.of(7, ...planes, 8, ...planes)],
      ["t.bin", Uint8Array.of(3, ...planes)],
    ]);
    const { train, test } = await decodeCifarBinary(files, { image, labelBytes: 1, batches });
    expect([...train.labels]).toEqual([7, 8, 9]);
    expect([...train.images]).toEqual([10, 30, 50, 20, 40, 60, 10, 30, 50, 20, 40, 60, 1, 3, 5, 2, 4, 6]);
    expect([...test.labels]).toEqual([3]);
  });

  it("takes the fine label of CIFAR-100's two", async () => {
    const record = Uint8Array.of(4, 77, ...planes);
    const files = new Map([["train.bin", record]]);
    const layout = { image, labelBytes: 2, batches: { train: ["train.bin"], test: ["train.bin"] } };
    const { train } = await decodeCifarBinary(files, layout);
    expect([...train.labels]).toEqual([77]);
    expect([...train.images]).toEqual([10, 30, 50, 20, 40, 60]);
  });

  it("names a batch that is missing or cut in a record", async () => {
    const layout = { image, labelBytes: 1, batches };
    const whole = Uint8Array.of(7, ...planes);
    const cut = new Map([
      ["a.bin", whole],
      ["b.bin", whole.subarray(1)],
    ]);
    await expect(decodeCifarBinary(cut, layout)).rejects.toThrow("records of 7 bytes for b.bin, received 6 bytes");
    await expect(decodeCifarBinary(new Map(), layout)).rejects.toThrow("for a.bin, received no such file");
  });
});
