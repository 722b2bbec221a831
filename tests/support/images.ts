import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import sharp, { type Sharp } from "sharp";

export type Rgb = readonly [red: number, green: number, blue: number];

/** An image of one colour. */
export function solid([r, g, b]: Rgb, width = 40, height = 30): Sharp {
  return sharp({ create: { width, height, channels: 3, background: { r, g, b } } });
}

/** An image of three-channel pixels that `colour` gives. */
export function painted(width: number, height: number, colour: (x: number, y: number) => Rgb): Sharp {
  const pixels = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++) pixels.set(colour(i % width, Math.floor(i / width)), 3 * i);
  return sharp(pixels, { raw: { width, height, channels: 3 } });
}

/** A BMP file of one colour, of 24 bits a pixel. */
export function bmpOf(width: number, height: number, [r, g, b]: Rgb): Buffer {
  const stride = 4 * Math.ceil((3 * width) / 4);
  const file = Buffer.alloc(54 + stride * height);
  file.write("BM");
  for (const [at, value] of [
    [10, 54],
    [14, 40],
    [18, width],
    [22, height],
    [28, 24],
  ] as const)
    file.writeUInt32LE(value, at);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) file.set([b, g, r], 54 + stride * y + 3 * x);
  }
  return file;
}

/** Writes files, and the folders they are in. */
export async function writeFiles(
  folder: string,
  files: Record<string, Uint8Array | Promise<Uint8Array>>,
): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, await content);
  }
}

/**
 * Where pixel (x, y) of an upright width × height image is stored in a file of EXIF orientation 1 … 8: [column, row].
 * Source: TIFF 6.0, tag Orientation, which says on what side of the picture the stored row 0 and column 0 lie.
 */
function storedAt(orientation: number, x: number, y: number, width: number, height: number): [number, number] {
  const [right, bottom] = [width - 1 - x, height - 1 - y];
  const places: [number, number][] = [
    [x, y],
    [right, y],
    [right, bottom],
    [x, bottom],
    [y, x],
    [y, right],
    [bottom, right],
    [bottom, x],
  ];
  const { [orientation - 1]: place } = places;
  if (place === undefined) throw new RangeError(`orientation ${orientation}`);
  return place;
}

/** A JPEG file of EXIF orientation 1 … 8 that shows the upright picture `colour`. */
export async function orientedJpeg(
  orientation: number,
  width: number,
  height: number,
  colour: (x: number, y: number) => Rgb,
): Promise<Buffer> {
  const [storedWidth, storedHeight] = orientation <= 4 ? [width, height] : [height, width];
  const pixels = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [column, row] = storedAt(orientation, x, y, width, height);
      pixels.set(colour(x, y), 3 * (row * storedWidth + column));
    }
  }
  const image = sharp(pixels, { raw: { width: storedWidth, height: storedHeight, channels: 3 } });
  return image.withMetadata({ orientation }).jpeg({ quality: 100, chromaSubsampling: "4:4:4" }).toBuffer();
}
