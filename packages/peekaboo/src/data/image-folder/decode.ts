import { closeSync, fstatSync, readFileSync } from "node:fs";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { openRegular } from "@peekaboo/files";
import sharp, { type ResizeOptions, type Sharp, type SharpOptions } from "sharp";
import { decodeBmp } from "./bmp.js";
import { type Box, centerCrop, drawCrop, resizedShortSide, resizedSize } from "./crop.js";
import { formatOf } from "./formats.js";
import { outlineJpeg } from "./jpeg.js";
import { decodeNetpbm } from "./netpbm.js";
import { mirror, type Pixels, resample } from "./resample.js";

/** What becomes of an image: training's random crop and flip, or testing's central crop. */
export type Transform = { kind: "training"; seed: number; epoch: number } | { kind: "plain" };

/** The most pixels of an image; Pillow suspects a decompression bomb above it too. */
const MAX_PIXELS = 89_478_485;
const MAX_FILE_BYTES = 2 ** 28;
const LIMITS: SharpOptions = { limitInputPixels: MAX_PIXELS, failOn: "truncated" };
/** Of the formats that libvips decodes but JPEG. */
const WHOLE: SharpOptions = { ...LIMITS, ignoreIcc: true };
const CHANNELS = 3;
const CMYK_COMPONENTS = 4;

/** A drawing can ask for any amount of work. */
const SVG_SECONDS = 20;
const SVG_BYTES = 2 ** 24;

// Both hold for the process. Several images are decoded side by side, so that one needs no threads of its own; and no image
// comes twice soon enough to be worth keeping.
sharp.concurrency(1);
sharp.cache(false);

/**
 * Reads an image and transforms it as torchvision does, to uint8 [size, size, 3].
 *
 * Resizing is Pillow's BILINEAR, on gamma-encoded values: libvips' kernel "linear", the same triangle filter but for rounding,
 * where the image shrinks, and {@link resample} where it grows.
 * The image is turned as its EXIF orientation says; alpha is dropped, not blended; sixteen bits become eight; grey becomes
 * RGB, and so does CMYK, by its own profile or a common one. Profiles of RGB images are ignored, as Pillow ignores them.
 *
 * Of several images or frames in a file, the first is taken. A drawing has the size that it tells.
 *
 * @param index chooses the random crop
 * @throws {Error} with the reason when the file isn't a whole image of a known format, of at most 89 megapixels
 */
export async function decodeImage(
  file: string,
  index: number,
  transform: Transform,
  size: number,
): Promise<Uint8Array> {
  const opened = await openImage(readImage(file));
  const { data } = await transformed(opened, planOf(opened.width, opened.height, index, transform, size));
  if (data.length !== size * size * CHANNELS) throw new Error(`${data.length} bytes of pixels`);
  return data;
}

/**
 * All of an image's pixels, uint8 RGB, upright and without alpha, as {@link decodeImage} sees them.
 * @throws {Error} with the reason when the content isn't a whole image of a known format, of at most 89 megapixels
 */
export async function decodePixels(content: Buffer): Promise<Pixels> {
  const { image } = await openImage(content);
  return pixelsOf(image);
}

/** An image turned upright, of 8 bits a sample and without alpha, to be decoded. */
interface Opened {
  image: Sharp;
  width: number;
  height: number;
}

async function openImage(content: Buffer): Promise<Opened> {
  const format = formatOf(content);
  switch (format) {
    case undefined:
      throw new Error("a file of another format");
    case "jpeg":
      return openJpeg(content);
    case "bmp":
      return openPixels(decodeBmp(content, MAX_PIXELS));
    case "netpbm":
      return openPixels(decodeNetpbm(content, MAX_PIXELS));
    case "svgz":
      return openSvg(await promisify(gunzip)(content, { maxOutputLength: SVG_BYTES }));
    case "svg":
      return openSvg(content);
    case "other":
      return openWhole(sharp(content, WHOLE));
  }
}

/** A JPEG image, which is decoded as far down as the crop needs. */
async function openJpeg(content: Buffer): Promise<Opened> {
  const outline = outlineJpeg(content);
  // Found here, so that a file is damaged in every epoch or in none, whatever the crop.
  if (outline?.ends !== true) throw new Error("a truncated JPEG file");
  const options = { ...LIMITS, ignoreIcc: outline.components !== CMYK_COMPONENTS };
  const { width, height } = outline;
  if (!outline.hasExif) return { image: sharp(content, options), width, height };
  const { autoOrient, orientation = 1 } = await sharp(content, options).metadata();
  const image = sharp(content, options);
  return { image: orientation > 1 ? image.autoOrient() : image, ...autoOrient };
}

async function openSvg(content: Buffer): Promise<Opened> {
  if (formatOf(content) !== "svg") throw new Error("a file of another format");
  return openWhole(sharp(content, WHOLE).timeout({ seconds: SVG_SECONDS }));
}

/** An image of another format, all of it decoded first: resized with its alpha, a colour would weigh as much as it is opaque. */
async function openWhole(file: Sharp): Promise<Opened> {
  const image = file.autoOrient().removeAlpha().toColourspace("srgb");
  const { data, info } = await image.raw({ depth: "uchar" }).toBuffer({ resolveWithObject: true });
  const { width, height, channels } = info;
  return { image: sharp(data, { ...LIMITS, raw: { width, height, channels } }), width, height };
}

function openPixels({ data, width, height }: Pixels): Opened {
  return { image: sharp(data, { ...LIMITS, raw: { width, height, channels: CHANNELS } }), width, height };
}

/** The content of an image's file. @throws {UserError} for what is no regular file; {Error} for one that is empty or too large. */
export function readImage(file: string): Buffer {
  const descriptor = openRegular("read image", file);
  try {
    const { size } = fstatSync(descriptor);
    if (size === 0) throw new Error("an empty file");
    if (size > MAX_FILE_BYTES) throw new Error(`a file of ${size} bytes`);
    return readFileSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** The part `source` of an image, resized to `target`, of which `window` is given out, mirrored or not. */
interface Plan {
  source: Box;
  target: { width: number; height: number };
  window: Box;
  flip: boolean;
}

function planOf(width: number, height: number, index: number, transform: Transform, size: number): Plan {
  if (transform.kind === "plain") {
    const target = resizedSize(width, height, resizedShortSide(size));
    const window = centerCrop(target.width, target.height, size);
    return { source: { left: 0, top: 0, width, height }, target, window, flip: false };
  }
  const { box, flip } = drawCrop(transform.seed, transform.epoch, index, width, height);
  const target = { width: size, height: size };
  return { source: box, target, window: { left: 0, top: 0, ...target }, flip };
}

async function transformed({ image, width, height }: Opened, { source, target, window, flip }: Plan): Promise<Pixels> {
  const whole = source.width === width && source.height === height;
  // libvips places an enlarged image half a pixel further right and down than Pillow does.
  if (target.width > source.width || target.height > source.height) {
    const pixels = await pixelsOf(whole ? image : image.extract(source));
    const enlarged = resample(pixels, target, window);
    if (flip) mirror(enlarged);
    return enlarged;
  }
  // JPEG's own shrinking, a box filter, only where it leaves at least a factor of two to the filter proper.
  const options: ResizeOptions = { ...target, fit: "fill", kernel: "linear", fastShrinkOnLoad: false };
  const resized = (whole ? image : image.extract(source)).resize(options);
  const cut = window.width === target.width && window.height === target.height ? resized : resized.extract(window);
  return pixelsOf(cut.flop(flip));
}

async function pixelsOf(image: Sharp): Promise<Pixels> {
  const decoding = image.toColourspace("srgb").raw({ depth: "uchar" });
  const { data, info } = await decoding.toBuffer({ resolveWithObject: true });
  const { width, height, channels } = info;
  if (channels === CHANNELS) return { data, width, height };
  if (channels !== 1) throw new Error(`an image of ${channels} channels`);
  const grey = new Uint8Array(CHANNELS * data.length);
  for (let i = 0; i < data.length; i++) grey.fill(data[i] ?? 0, CHANNELS * i, CHANNELS * (i + 1));
  return { data: grey, width, height };
}
