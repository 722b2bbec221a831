import { describe, expect, it } from "vitest";
import { decodeIdx, type IdxLayout, idxSizes, MNIST_LAYOUT } from "./idx.js";

const layout: IdxLayout = {
  image: { height: 2, width: 3, channels: 1 },
  files: { train: { images: "a", labels: "b" }, test: { images: "c", labels: "d" } },
};

/** An IDX file: the magic number, the dimensions, the content. */
function idx(magic: number, dimensions: readonly number[], content: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(4 + 4 * dimensions.length + content.length);
  const view = new DataView(bytes.buffer);
  for (const [i, value] of [magic, ...dimensions].entries()) view.setUint32(4 * i, value);
  bytes.set(content, 4 + 4 * dimensions.length);
  return bytes;
}

const pixels = [10, 20, 30, 40, 50, 60, 1, 2, 3, 4, 5, 6];
const valid = new Map([
  ["a", idx(0x803, [2, 2, 3], pixels)],
  ["b", idx(0x801, [2], [7, 9])],
  ["c", idx(0x803, [1, 2, 3], pixels.slice(6))],
  ["d", idx(0x801, [1], [5])],
]);

const decodeWith = (name: string, content: Uint8Array) => decodeIdx(new Map([...valid, [name, content]]), layout);

describe("decodeIdx", () => {
  it("gives the bytes after the headers", async () => {
    const { train, test } = await decodeIdx(valid, layout);
    expect([...train.images]).toEqual(pixels);
    expect([...train.labels]).toEqual([7, 9]);
    expect([...test.images]).toEqual([1, 2, 3, 4, 5, 6]);
    expect([...test.labels]).toEqual([5]);
  });

  it("reads a file that lies anywhere in a larger buffer", async () => {
    const buffer = Uint8Array.of(99, 99, 99, ...idx(0x801, [1], [8]));
    const { test } = await decodeWith("d", buffer.subarray(3));
    expect([...test.labels]).toEqual([8]);
  });

  it("names a file that is missing", async () => {
    await expect(decodeIdx(new Map(), layout)).rejects.toThrow("expected a file of this name for a, received none");
  });

  it.each([
    ["another type", 0x0d03, "0x00000d03"],
    ["another rank", 0x0801, "0x00000801"],
    ["the other byte order", 0x03080000, "0x03080000"],
    ["no zeros at the beginning", 0x1f8b0803, "0x1f8b0803"],
  ])("refuses a magic number of %s", async (_, magic, shown) => {
    await expect(decodeWith("a", idx(magic, [2, 2, 3], pixels))).rejects.toThrow(
      `expected the magic number of unsigned bytes [N, 2, 3] for a, received ${shown}`,
    );
  });

  it("refuses images of another size", async () => {
    await expect(decodeWith("a", idx(0x803, [2, 3, 2], pixels))).rejects.toThrow("[N, 2, 3] for a, received [2, 3, 2]");
  });

  it("refuses a file that is cut off, in its header or after, or goes on", async () => {
    const whole = idx(0x803, [2, 2, 3], pixels);
    for (const length of [0, 3, 15]) {
      const message = `expected a header of 16 bytes for a, received ${length} bytes`;
      await expect(decodeWith("a", whole.subarray(0, length))).rejects.toThrow(message);
    }
    await expect(decodeWith("a", whole.subarray(0, 27))).rejects.toThrow("expected 16 + 12 bytes for a, received 27");
    await expect(decodeWith("a", Uint8Array.of(...whole, 0))).rejects.toThrow("16 + 12 bytes for a, received 29 bytes");
  });

  it("takes a count that the file can't hold for what it is", async () => {
    const huge = idx(0x803, [2 ** 32 - 1, 2, 3], pixels);
    await expect(decodeWith("a", huge)).rejects.toThrow(`expected 16 + ${6 * (2 ** 32 - 1)} bytes for a`);
  });
});

describe("idxSizes", () => {
  it("are the known sizes of MNIST's files", () => {
    expect(idxSizes(MNIST_LAYOUT, { train: 60_000, test: 10_000 })).toEqual({
      "train-images-idx3-ubyte": 47_040_016,
      "train-labels-idx1-ubyte": 60_008,
      "t10k-images-idx3-ubyte": 7_840_016,
      "t10k-labels-idx1-ubyte": 10_008,
    });
  });
});
