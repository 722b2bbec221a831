import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { RandomStream } from "@peekaboo/seed";
import sharp, { type Sharp } from "sharp";
import { describe, expect, it } from "vitest";
import { sharedFolder } from "../../../../../tests/support/folder.js";
import { bmpOf, orientedJpeg, painted, type Rgb, solid, writeFiles } from "../../../../../tests/support/images.js";
import { drawCrop, roundHalfEven } from "./crop.js";
import { decodeImage, type Transform } from "./decode.js";

const folder = sharedFolder();

const PLAIN: Transform = { kind: "plain" };
const TRAINING: Transform = { kind: "training", seed: 1, epoch: 2 };

async function decoded(content: Uint8Array, transform = PLAIN, size = 28, index = 5): Promise<Uint8Array> {
  await writeFiles(folder, { image: content });
  const pixels = await decodeImage(join(folder, "image"), index, transform, size);
  expect(pixels.length).toBe(size * size * 3);
  return pixels;
}

/** The largest distance of any pixel's channel from the colour. */
function distance(pixels: Uint8Array, colour: Rgb): number {
  return pixels.reduce((worst, value, i) => Math.max(worst, Math.abs(value - (colour[i % 3] ?? 0))), 0);
}

/** Pixels that no neighbour tells anything of. */
function noise(width: number, height: number): Uint8Array {
  const words = new Uint32Array((width * height * 3) / 4);
  new RandomStream(0, "noise").fillUint32(words);
  return new Uint8Array(words.buffer);
}

const RED: Rgb = [200, 60, 30];
const GREY: Rgb = [90, 90, 90];
// Within what a printing press can do, so that CMYK holds it.
const BROWN: Rgb = [150, 110, 90];

describe("decodeImage", () => {
  const translucent = (alpha: number) =>
    sharp({ create: { width: 40, height: 30, channels: 4, background: { r: 200, g: 60, b: 30, alpha } } });
  const greyAlpha = () =>
    sharp(Buffer.from(Array(2400).fill([90, 64]).flat()), { raw: { width: 60, height: 40, channels: 2 } });
  const drawing = (colour: string) =>
    Buffer.from(
      `<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30"><rect width="40" height="30" fill="${colour}"/></svg>`,
    );
  it.each<[string, Rgb, number, () => Promise<Buffer>]>([
    ["JPEG", RED, 1, () => solid(RED).jpeg({ quality: 100 }).toBuffer()],
    ["progressive JPEG", RED, 1, () => solid(RED).jpeg({ quality: 100, progressive: true }).toBuffer()],
    ["grey JPEG", GREY, 1, () => solid(GREY).toColourspace("b-w").jpeg({ quality: 100 }).toBuffer()],
    ["CMYK JPEG without a profile", BROWN, 12, () => solid(BROWN).toColourspace("cmyk").jpeg().toBuffer()],
    ["CMYK JPEG with a profile", BROWN, 20, () => solid(BROWN).withIccProfile("cmyk").jpeg().toBuffer()],
    ["PNG", RED, 0, () => solid(RED).png().toBuffer()],
    ["palette PNG", RED, 0, () => solid(RED).png({ palette: true }).toBuffer()],
    ["grey PNG", GREY, 0, () => solid(GREY).toColourspace("b-w").png().toBuffer()],
    ["16-bit PNG", RED, 0, () => solid(RED).toColourspace("rgb16").png().toBuffer()],
    ["16-bit grey PNG", GREY, 0, () => solid(GREY).toColourspace("grey16").png().toBuffer()],
    ["translucent PNG, not blended", RED, 0, () => translucent(0.25).png().toBuffer()],
    ["transparent PNG, not blended", RED, 0, () => translucent(0).png().toBuffer()],
    ["translucent 16-bit PNG, not blended", RED, 0, () => translucent(0.25).toColourspace("rgb16").png().toBuffer()],
    ["translucent grey PNG, not blended", GREY, 0, () => greyAlpha().png().toBuffer()],
    ["WebP", RED, 4, () => solid(RED).webp({ quality: 100 }).toBuffer()],
    ["lossless WebP", RED, 0, () => solid(RED).webp({ lossless: true }).toBuffer()],
    ["TIFF", RED, 0, () => solid(RED).tiff({ compression: "lzw" }).toBuffer()],
    ["16-bit TIFF", RED, 0, () => solid(RED).toColourspace("rgb16").tiff({ compression: "none" }).toBuffer()],
    ["grey TIFF", GREY, 0, () => solid(GREY).toColourspace("b-w").tiff().toBuffer()],
    ["CMYK TIFF", BROWN, 12, () => solid(BROWN).toColourspace("cmyk").tiff({ compression: "none" }).toBuffer()],
    ["palette TIFF of one bit", [255, 255, 255], 0, () => solid([255, 255, 255]).tiff({ bitdepth: 1 }).toBuffer()],
    ["translucent TIFF, not blended", RED, 0, () => translucent(0.25).tiff({ compression: "none" }).toBuffer()],
    ["GIF", RED, 4, () => solid(RED).gif().toBuffer()],
    ["AVIF", RED, 6, () => solid(RED).avif({ quality: 90 }).toBuffer()],
    ["SVG", RED, 0, async () => drawing("rgb(200, 60, 30)")],
    ["gzipped SVG", RED, 0, async () => gzipSync(drawing("rgb(200, 60, 30)"))],
    [
      "PPM",
      RED,
      0,
      async () => Buffer.concat([Buffer.from("P6 40 30 255\n"), Buffer.from(Array(1200).fill(RED).flat())]),
    ],
    ["PGM", GREY, 0, async () => Buffer.concat([Buffer.from("P5 40 30 255\n"), Buffer.alloc(1200, 90)])],
    ["BMP", RED, 0, async () => bmpOf(40, 30, RED)],
    ["translucent WebP, not blended", RED, 0, () => translucent(0.25).webp({ lossless: true }).toBuffer()],
  ])("gives the colour of a %s", async (_, colour, tolerance, make) => {
    const content = await make();
    for (const transform of [PLAIN, TRAINING]) {
      expect(distance(await decoded(content, transform), colour), transform.kind).toBeLessThanOrEqual(tolerance);
    }
  });

  it("leaves out the colours of what is transparent from no mixture", async () => {
    // White and transparent beside black and opaque: dropping alpha leaves half white.
    const pixels = new Uint8Array(32 * 32 * 4);
    for (let i = 0; i < 32 * 32; i++) pixels.set(i % 32 < 16 ? [255, 255, 255, 0] : [0, 0, 0, 255], 4 * i);
    const content = await sharp(pixels, { raw: { width: 32, height: 32, channels: 4 } })
      .png()
      .toBuffer();
    const image = await decoded(content);
    expect([...image.subarray(0, 3)]).toEqual([255, 255, 255]);
    expect([...image.subarray(-3)]).toEqual([0, 0, 0]);
  });

  it("ignores the profile of an RGB image, as Pillow does", async () => {
    const content = await solid(RED).withIccProfile("p3").png().toBuffer();
    const { data } = await sharp(content, { ignoreIcc: true }).raw().toBuffer({ resolveWithObject: true });
    const stored: Rgb = [data[0] ?? 0, data[1] ?? 0, data[2] ?? 0];
    expect(stored).not.toEqual(RED);
    expect(distance(await decoded(content), stored)).toBe(0);
  });

  describe.each([1, 2, 3, 4, 5, 6, 7, 8])("of EXIF orientation %d", (orientation) => {
    // Another colour in each quarter of the upright picture, which is wider than high.
    const [width, height] = [96, 64];
    const quarters: Rgb[] = [
      [250, 10, 10],
      [10, 250, 10],
      [10, 10, 250],
      [250, 250, 10],
    ];
    const colour = (x: number, y: number): Rgb => quarters[(y < height / 2 ? 0 : 2) + (x < width / 2 ? 0 : 1)] ?? RED;
    const at = (pixels: Uint8Array, x: number, y: number) => pixels.subarray(3 * (28 * y + x), 3 * (28 * y + x + 1));

    it("shows the picture upright when testing", async () => {
      const image = await decoded(await orientedJpeg(orientation, width, height, colour));
      const corners = [at(image, 1, 1), at(image, 26, 1), at(image, 1, 26), at(image, 26, 26)];
      for (const [i, corner] of corners.entries()) {
        expect(distance(corner, quarters[i] ?? RED), `corner ${i}`).toBeLessThan(12);
      }
    });

    it("crops the upright picture when training", async () => {
      const content = await orientedJpeg(orientation, width, height, colour);
      for (let index = 0; index < 12; index++) {
        const { box, flip } = drawCrop(1, 2, index, width, height);
        const image = await decoded(content, TRAINING, 28, index);
        for (const [x, y] of [
          [0, 0],
          [27, 0],
          [0, 27],
          [27, 27],
          [14, 14],
        ] as const) {
          const across = ((flip ? 27 - x : x) + 0.5) * (box.width / 28) + box.left;
          const down = (y + 0.5) * (box.height / 28) + box.top;
          // Where quarters meet, colours mix.
          if (Math.abs(across - width / 2) < 6 || Math.abs(down - height / 2) < 6) continue;
          const expected = colour(across, down);
          expect(distance(at(image, x, y), expected), `image ${index} at ${x}, ${y}`).toBeLessThan(12);
        }
      }
    });
  });

  it.each([
    ["shrinks", 240, 200, 28],
    ["grows", 60, 50, 64],
  ])(
    "crops, resizes and mirrors where drawCrop says, to the pixel, when the image %s",
    async (_, width, height, size) => {
      // Colours tell the place: red across, green down. Resizing keeps linear gradients, but at the edges.
      const content = await painted(width, height, (x, y) => [x, y, 0])
        .png()
        .toBuffer();
      const flips = new Set<boolean>();
      const edge = Math.ceil(size / 10);
      for (let index = 0; index < 20; index++) {
        const { box, flip } = drawCrop(1, 2, index, width, height);
        flips.add(flip);
        const image = await decoded(content, TRAINING, size, index);
        for (let y = edge; y < size - edge; y++) {
          for (let x = edge; x < size - edge; x++) {
            const across = ((flip ? size - 1 - x : x) + 0.5) * (box.width / size) + box.left - 0.5;
            const down = (y + 0.5) * (box.height / size) + box.top - 0.5;
            const [red = 0, green = 0] = image.subarray(3 * (size * y + x));
            expect(Math.abs(red - across), `image ${index}, red at ${x}, ${y}`).toBeLessThan(1.2);
            expect(Math.abs(green - down), `image ${index}, green at ${x}, ${y}`).toBeLessThan(1.2);
          }
        }
      }
      expect(flips.size).toBe(2);
    },
  );

  it.each([
    [200, 150],
    [50, 90],
    [20, 16],
    [700, 500],
  ])("resizes a %d × %d image for testing as Pillow's bilinear filter does", async (width, height) => {
    const content = noise(width, height);
    const png = await sharp(content, { raw: { width, height, channels: 3 } })
      .png()
      .toBuffer();
    const size = 28;
    const image = await decoded(png, PLAIN, size);
    const expected = pillowReference(content, width, height, size);
    const differences = image.map((value, i) => Math.abs(value - (expected[i] ?? 0)));
    // libvips rounds positions and weights, and shrinks by whole factors first what shrinks more than fourfold.
    expect(differences.reduce((sum, value) => sum + value, 0) / differences.length).toBeLessThan(2);
    // Noise resized otherwise differs by tens of levels.
    expect(Math.max(...differences)).toBeLessThan(24);
    if (Math.min(width, height) < 32) expect(Math.max(...differences)).toBeLessThanOrEqual(1);
  });

  it("gives a JPEG image that is shrunk on loading nearly the pixels of one that isn't", async () => {
    const colour = (x: number, y: number): Rgb => [
      128 + 90 * Math.sin(x / 37) * Math.cos(y / 23),
      128 + 90 * Math.sin((x + y) / 61),
      (x * 255) / 1600,
    ];
    const jpeg = await painted(1600, 1200, colour).jpeg({ quality: 95 }).toBuffer();
    const png = await sharp(jpeg).png().toBuffer();
    const [fast, exact] = [await decoded(jpeg, PLAIN, 112), await decoded(png, PLAIN, 112)];
    const worst = fast.reduce((most, value, i) => Math.max(most, Math.abs(value - (exact[i] ?? 0))), 0);
    expect(worst).toBeLessThanOrEqual(4);
  });

  const broken = async (content: Uint8Array): Promise<string[]> => {
    const reasons: string[] = [];
    for (const transform of [PLAIN, TRAINING]) {
      await decoded(content, transform).then(
        () => reasons.push(""),
        (error: Error) => reasons.push(error.message),
      );
    }
    return reasons;
  };

  it.each<[string, (image: Sharp) => Sharp]>([
    ["JPEG", (image) => image.jpeg()],
    ["progressive JPEG", (image) => image.jpeg({ progressive: true })],
    ["PNG", (image) => image.png()],
    ["interlaced PNG", (image) => image.png({ progressive: true })],
    ["WebP", (image) => image.webp()],
    ["lossless WebP", (image) => image.webp({ lossless: true })],
  ])("refuses a truncated %s, whatever the crop", async (_, encode) => {
    const content = await encode(sharp(noise(300, 200), { raw: { width: 300, height: 200, channels: 3 } })).toBuffer();
    expect(await broken(content)).toEqual(["", ""]);
    for (const part of [0.01, 0.3, 0.5, 0.9, 0.99]) {
      const reasons = await broken(content.subarray(0, Math.floor(content.length * part)));
      expect(
        reasons.every((reason) => reason !== ""),
        `${part} of it: ${reasons}`,
      ).toBe(true);
    }
  });

  it("refuses what is no image, with the reason", async () => {
    expect(await broken(Buffer.alloc(0))).toEqual(Array(2).fill("an empty file"));
    expect(await broken(Buffer.from("hello"))).toEqual(Array(2).fill("a file of another format"));
    expect(await broken(Buffer.from("%PDF-1.7"))).toEqual(Array(2).fill("a file of another format"));
    expect(await broken(gzipSync("hello"))).toEqual(Array(2).fill("a file of another format"));
    mkdirSync(join(folder, "folder.jpg"));
    await expect(decodeImage(join(folder, "folder.jpg"), 0, PLAIN, 28)).rejects.toThrow("received a folder");
    await expect(decodeImage(join(folder, "none.jpg"), 0, PLAIN, 28)).rejects.toThrow("ENOENT");
  });

  it("takes the first frame of an animation and the first page of a document", async () => {
    const frames = Buffer.concat([RED, GREY, BROWN].map((colour) => Buffer.from(Array(1200).fill(colour).flat())));
    const raw = () => sharp(frames, { raw: { width: 40, height: 90, channels: 3, pageHeight: 30 } });
    for (const content of await Promise.all([raw().gif().toBuffer(), raw().webp({ lossless: true }).toBuffer()])) {
      expect((await sharp(content).metadata()).pages).toBe(3);
      expect(distance(await decoded(content), RED)).toBeLessThanOrEqual(4);
    }
    const pages = await raw().tiff().toBuffer();
    expect((await sharp(pages).metadata()).pages).toBe(3);
    expect(distance(await decoded(pages), RED)).toBeLessThanOrEqual(4);
  });

  it("turns a TIFF as its orientation says", async () => {
    const content = await painted(30, 20, (x) => (x < 15 ? RED : GREY))
      .withMetadata({ orientation: 6 })
      .tiff({ compression: "none" })
      .toBuffer();
    const image = await decoded(content, PLAIN, 20);
    expect([...image.subarray(0, 3)]).toEqual([...RED]);
    expect([...image.subarray(-3)]).toEqual([...GREY]);
    expect([...image.subarray(57, 60)]).toEqual([...RED]);
  });

  it("lets a drawing read no other file", async () => {
    writeFileSync(join(folder, "secret.png"), await solid(RED).png().toBuffer());
    const content = Buffer.from(
      `<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30"><image href="file://${folder}/secret.png" width="40" height="30"/></svg>`,
    );
    expect(distance(await decoded(content), [0, 0, 0])).toBe(0);
  });

  it("refuses a drawing and a bitmap of too many pixels before it takes memory for them", async () => {
    const large = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="20000" height="9000"/>');
    const before = process.memoryUsage().rss;
    for (const reason of await broken(large)) expect(reason).not.toBe("");
    for (const reason of await broken(Buffer.from("P6 20000 9000 255\n"))) expect(reason).toContain("pixels");
    expect(process.memoryUsage().rss - before).toBeLessThan(200e6);
    for (const reason of await broken(gzipSync(Buffer.alloc(2 ** 26, " ")))) expect(reason).not.toBe("");
  });

  it("refuses a decompression bomb before it takes memory for it", async () => {
    const bomb = await sharp({ create: { width: 20_000, height: 9_000, channels: 3, background: "black" } })
      .png({ compressionLevel: 9 })
      .toBuffer();
    const before = process.memoryUsage().rss;
    for (const reason of await broken(bomb)) expect(reason).toContain("pixel limit");
    expect(process.memoryUsage().rss - before).toBeLessThan(200e6);
  });
});

/** Resize and central crop in double precision: the triangle filter, widened where the image shrinks, along x and then y. */
function pillowReference(pixels: Uint8Array, width: number, height: number, size: number): Float64Array {
  const short = Math.floor((size * 256) / 224);
  const long = Math.trunc((short * Math.max(width, height)) / Math.min(width, height));
  const [w, h] = width <= height ? [short, long] : [long, short];
  const columns = filters(width, w);
  const rows = filters(height, h);
  const [left, top] = [roundHalfEven((w - size) / 2), roundHalfEven((h - size) / 2)];
  const out = new Float64Array(size * size * 3);
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      for (let channel = 0; channel < 3; channel++) {
        let sum = 0;
        for (const [row, down] of rows[top + y] ?? []) {
          for (const [column, across] of columns[left + x] ?? []) {
            sum += down * across * (pixels[3 * (row * width + column) + channel] ?? 0);
          }
        }
        out[3 * (y * size + x) + channel] = sum;
      }
    }
  }
  return out;
}

/** For each of `to` pixels, the source pixels and their weights. */
function filters(from: number, to: number): [index: number, weight: number][][] {
  const scale = from / to;
  const support = Math.max(scale, 1);
  return Array.from({ length: to }, (_, i) => {
    const centre = (i + 0.5) * scale;
    const taps: [number, number][] = [];
    for (let j = Math.max(0, Math.floor(centre - support)); j < Math.min(from, Math.ceil(centre + support)); j++) {
      const weight = 1 - Math.abs(j + 0.5 - centre) / support;
      if (weight > 0) taps.push([j, weight]);
    }
    const total = taps.reduce((sum, [, weight]) => sum + weight, 0);
    return taps.map(([j, weight]) => [j, weight / total]);
  });
}
