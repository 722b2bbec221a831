import { describe, expect, it } from "vitest";
import { decodeBmp } from "./bmp.js";

const MAX = 1_000_000;
const hex = (text: string) => Buffer.from(text.replace(/[^0-9a-f]/gi, ""), "hex");

interface Parts {
  width: number;
  height: number;
  bits: number;
  compression?: number;
  /** Bytes of the header after the file's. */
  size?: number;
  colours?: number;
  /** What lies between the header and the pixels. */
  between?: Buffer;
  pixels: Buffer;
}

function bmp({ width, height, bits, compression = 0, size = 40, colours = 0, between, pixels }: Parts): Buffer {
  const header = Buffer.alloc(14 + size);
  header.write("BM");
  header.writeUInt32LE(14 + size + (between?.length ?? 0), 10);
  header.writeUInt32LE(size, 14);
  if (size === 12) {
    for (const [i, value] of [width, height, 1, bits].entries()) header.writeUInt16LE(value, 18 + 2 * i);
  } else {
    header.writeInt32LE(width, 18);
    header.writeInt32LE(height, 22);
    header.writeUInt16LE(bits, 28);
    header.writeUInt32LE(compression, 30);
    header.writeUInt32LE(colours, 46);
  }
  return Buffer.concat([header, between ?? Buffer.alloc(0), pixels]);
}

/** The red channel, row by row. */
const reds = (file: Buffer) => {
  const { data, width, height } = decodeBmp(file, MAX);
  return Array.from({ length: height }, (_, y) =>
    [...data.subarray(3 * y * width, 3 * (y + 1) * width)].filter((_, i) => i % 3 === 0),
  );
};

/** A palette in which entry i is (i, 0, 0). */
const redPalette = (entries: number) => Buffer.from(Array.from({ length: entries }, (_, i) => [0, 0, i, 0]).flat());

describe("decodeBmp", () => {
  it("reads 24 bits a pixel from the bottom up, rows padded to four bytes", () => {
    const file = hex(
      "424D 46000000 0000 0000 36000000 28000000 02000000 02000000 0100 1800 00000000 10000000 130B0000 130B0000" +
        "00000000 00000000 0000FF FFFFFF 0000 FF0000 00FF00 0000",
    );
    const { data, width, height } = decodeBmp(file, MAX);
    expect([width, height]).toEqual([2, 2]);
    expect([...data]).toEqual([0, 0, 255, 0, 255, 0, 255, 0, 0, 255, 255, 255]);
  });

  it("reads rows from the top down where the height is negative", () => {
    const pixels = hex("000001 00 000002 00");
    expect(reds(bmp({ width: 1, height: 2, bits: 24, pixels }))).toEqual([[2], [1]]);
    expect(reds(bmp({ width: 1, height: -2, bits: 24, pixels }))).toEqual([[1], [2]]);
  });

  it.each([
    [1, "a0000000", [[1, 0, 1]]],
    [4, "12a00000", [[1, 2, 10]]],
    [8, "01ff0a00", [[1, 255, 10]]],
  ])("reads palettes of %i bits a pixel", (bits, pixels, expected) => {
    const between = redPalette(2 ** bits);
    expect(reds(bmp({ width: 3, height: 1, bits, between, pixels: hex(pixels) }))).toEqual(expected);
  });

  it("reads a shorter palette, and one of OS/2 without its fourth bytes", () => {
    const short = { width: 2, height: 1, bits: 8, colours: 2, between: redPalette(2) };
    expect(reds(bmp({ ...short, pixels: hex("01090000") }))).toEqual([[1, 0]]);
    const os2 = { width: 2, height: 1, bits: 1, size: 12, between: hex("000007 000009") };
    expect(reds(bmp({ ...os2, pixels: hex("40000000") }))).toEqual([[7, 9]]);
  });

  it("reads 16 and 32 bits a pixel by their usual fields and by given ones", () => {
    const one = { width: 1, height: 1 };
    const rgb = (parts: Omit<Parts, "width" | "height">) => [...decodeBmp(bmp({ ...one, ...parts }), MAX).data];
    expect(rgb({ bits: 16, pixels: hex("e17f 0000") })).toEqual([255, 255, 8]);
    expect(rgb({ bits: 32, pixels: hex("03020109") })).toEqual([1, 2, 3]);
    const fields = hex("00f80000 e0070000 1f000000");
    expect(rgb({ bits: 16, compression: 3, between: fields, pixels: hex("e007 0000") })).toEqual([0, 255, 0]);
    const reversed = hex("000000ff 0000ff00 00ff0000");
    expect(rgb({ bits: 32, compression: 3, between: reversed, pixels: hex("09030201") })).toEqual([1, 2, 3]);
    const later = bmp({ ...one, bits: 32, compression: 3, size: 124, pixels: hex("03020109") });
    reversed.copy(later, 54);
    expect([...decodeBmp(later, MAX).data]).toEqual([9, 1, 2]);
  });

  // The examples of Microsoft's "Bitmap Compression".
  it("reads run lengths of bytes and of half bytes", () => {
    const runs = { width: 20, height: 3, between: redPalette(256) };
    const eight = hex("0304 0506 0003 455667 00 0278 0002 0501 0278 0000 091E 0001");
    const [third, second, first] = reds(bmp({ ...runs, bits: 8, compression: 1, pixels: eight }));
    expect(first).toEqual([4, 4, 4, 6, 6, 6, 6, 6, 0x45, 0x56, 0x67, 0x78, 0x78, 0, 0, 0, 0, 0, 0, 0]);
    expect(second).toEqual([...Array(18).fill(0), 0x78, 0x78]);
    expect(third).toEqual([...Array(9).fill(0x1e), ...Array(11).fill(0)]);
    const four = hex("0304 0506 0006 455667 00 0478 0002 0101 0278 0000 091E 0001");
    const [last, , start] = reds(
      bmp({ ...runs, width: 21, between: redPalette(16), bits: 4, compression: 2, pixels: four }),
    );
    expect(start).toEqual([0, 4, 0, 0, 6, 0, 6, 0, 4, 5, 5, 6, 6, 7, 7, 8, 7, 8, 0, 0, 0]);
    expect(last?.slice(0, 10)).toEqual([1, 14, 1, 14, 1, 14, 1, 14, 1, 0]);
  });

  it.each([
    ["pixels that end early", bmp({ width: 9, height: 9, bits: 24, pixels: Buffer.alloc(200) }), "truncated"],
    ["runs that end early", bmp({ width: 9, height: 9, bits: 8, compression: 1, pixels: hex("0304") }), "truncated"],
    ["a header that ends early", hex("424d0000000000000000000000007c0000000000000000000000"), "truncated"],
    ["a huge claim", bmp({ width: 2 ** 30, height: 2 ** 30, bits: 24, pixels: Buffer.alloc(9) }), "pixels"],
    [
      "a huge claim of runs",
      bmp({ width: 900, height: 900, bits: 8, compression: 1, pixels: hex("0001") }),
      "truncated",
    ],
    ["no width", bmp({ width: 0, height: 1, bits: 24, pixels: Buffer.alloc(9) }), "of 0 × 1 pixels"],
    ["a negative width", bmp({ width: -1, height: 1, bits: 24, pixels: Buffer.alloc(9) }), "of -1 × 1 pixels"],
    ["a JPEG within", bmp({ width: 1, height: 1, bits: 0, compression: 4, pixels: Buffer.alloc(9) }), "method 4"],
    [
      "another header",
      bmp({ width: 1, height: 1, bits: 24, size: 48, pixels: Buffer.alloc(9) }),
      "a header of 48 bytes",
    ],
  ])("refuses %s", (_, file, words) => {
    expect(() => decodeBmp(file, MAX)).toThrow(words);
  });
});
