import { beforeAll, describe, expect, it } from "vitest";
import { orientedJpeg, solid } from "../../../../../tests/support/images.js";
import { outlineJpeg } from "./jpeg.js";

let plain: Buffer;
let exif: Buffer;
beforeAll(async () => {
  plain = await solid([9, 99, 199], 70, 50).jpeg().toBuffer();
  exif = await orientedJpeg(6, 70, 50, () => [9, 99, 199]);
});

describe("outlineJpeg", () => {
  it("tells size, components, EXIF data and whether the image ends", async () => {
    const outline = { width: 70, height: 50, components: 3, hasExif: false, ends: true };
    expect(outlineJpeg(plain)).toEqual(outline);
    expect(outlineJpeg(await solid([9, 99, 199], 70, 50).jpeg({ progressive: true }).toBuffer())).toEqual(outline);
    expect(outlineJpeg(exif)).toEqual({ ...outline, width: 50, height: 70, hasExif: true });
    const cmyk = await solid([9, 99, 199], 70, 50).toColourspace("cmyk").jpeg().toBuffer();
    expect(outlineJpeg(cmyk)?.components).toBe(4);
    const grey = await solid([9, 9, 9], 70, 50).toColourspace("b-w").jpeg().toBuffer();
    expect(outlineJpeg(grey)?.components).toBe(1);
  });

  it("allows for bytes after the end and filling before a marker", () => {
    expect(outlineJpeg(Buffer.concat([plain, Buffer.alloc(1000, 7)]))?.ends).toBe(true);
    const filled = Buffer.concat([plain.subarray(0, 2), Buffer.alloc(5, 0xff), plain.subarray(2)]);
    expect(outlineJpeg(filled)).toEqual(outlineJpeg(plain));
  });

  it("doesn't take a thumbnail's end for the image's", () => {
    const app = Buffer.concat([Buffer.from("ffe1", "hex"), Buffer.alloc(2), plain]);
    app.writeUInt16BE(app.length - 2, 2);
    const withThumbnail = Buffer.concat([plain.subarray(0, 2), app, plain.subarray(2)]);
    expect(outlineJpeg(withThumbnail)?.ends).toBe(true);
    expect(outlineJpeg(withThumbnail.subarray(0, -2))?.ends).toBe(false);
  });

  it("reads no further than any cut file goes", () => {
    for (let length = 0; length < exif.length; length++) {
      const outline = outlineJpeg(exif.subarray(0, length));
      expect(outline?.ends ?? false, `${length} bytes`).toBe(false);
    }
  });

  it("ends with any segment lengths", () => {
    const endless = Buffer.concat([Buffer.from("ffd8", "hex"), Buffer.from("ffe00000".repeat(50), "hex")]);
    expect(outlineJpeg(endless)).toBeUndefined();
    expect(outlineJpeg(Buffer.from("ffd8ffe0ffff", "hex"))).toBeUndefined();
    expect(outlineJpeg(Buffer.alloc(100, 0xff))).toBeUndefined();
  });
});
