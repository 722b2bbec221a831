import { UserError } from "@peekaboo/files/errors";

/** Pixels row by row, with one to four interleaved channels: grey, grey and alpha, RGB, or RGBA, as a canvas's ImageData has it. */
export interface PixelImage {
  readonly data: Uint8Array | Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
}

/** What a network sees of an image. */
export interface ImageRule {
  /** [channels, height, width]. */
  readonly input: readonly [channels: number, height: number, width: number];
  readonly mean: readonly number[];
  readonly std: readonly number[];
  /** The fraction of the largest central part of that shape which is taken. */
  readonly crop: number;
}

/** ITU-R BT.601's weights of red, green and blue in grey. */
const GREY = [0.299, 0.587, 0.114] as const;
const MAX_SIDE = 32_768;

/**
 * The normalised input [C, H, W] that a network sees of an image of any size: its central part, resized by averaging (a triangle
 * filter as wide as a pixel of the result), in the network's channels; alpha is left out. An image of just that size stays as it is.
 * @throws {UserError} for an image without pixels, or whose data don't fit its size.
 */
export function imageInput(image: PixelImage, { input, mean, std, crop }: ImageRule): Float32Array {
  const [channels, height, width] = input;
  const planes = planesOf(image, channels);
  const scale = Math.min(image.width / width, image.height / height) * crop;
  const x = taps((image.width - width * scale) / 2, scale, width, image.width);
  const y = taps((image.height - height * scale) / 2, scale, height, image.height);
  const out = new Float32Array(channels * height * width);
  planes.forEach((plane, c) => {
    const [offset = 0, divisor = 1] = [mean[c], std[c]];
    const resized = columns(rows(plane, image, x), image.height, width, y);
    for (let i = 0; i < resized.length; i++) out[c * height * width + i] = ((resized[i] ?? 0) / 255 - offset) / divisor;
  });
  return out;
}

/** The image's channels, each by itself, as many as the network takes. */
function planesOf({ data, width, height }: PixelImage, channels: number): Float32Array[] {
  const size = width * height;
  const given = data.length / size;
  const sane = [width, height].every((side) => Number.isSafeInteger(side) && side > 0 && side <= MAX_SIDE);
  if (!sane || ![1, 2, 3, 4].includes(given)) {
    throw new UserError({
      operation: "predict",
      argument: "image",
      expected: `1 to 4 bytes for each pixel of sides from 1 to ${MAX_SIDE}`,
      received: `${data.length} bytes for ${width}×${height} pixels`,
    });
  }
  const colour = given >= 3;
  const planes = Array.from({ length: channels }, () => new Float32Array(size));
  for (let i = 0; i < size; i++) {
    const [first = 0, second = 0, third = 0] = [data[i * given], data[i * given + 1], data[i * given + 2]];
    const grey = colour ? GREY[0] * first + GREY[1] * second + GREY[2] * third : first;
    planes.forEach((plane, c) => {
      plane[i] = channels === 3 && colour ? (c === 0 ? first : c === 1 ? second : third) : grey;
    });
  }
  return planes;
}

/** The pixels that a pixel of the result averages, and their weights, which add up to 1. */
interface Taps {
  start: number;
  weights: Float64Array;
}

/** Of `count` pixels, each `scale` pixels of the image wide from `from` on. Source: Pillow's antialiased bilinear resize. */
function taps(from: number, scale: number, count: number, size: number): Taps[] {
  const reach = Math.max(1, scale);
  return Array.from({ length: count }, (_, i) => {
    const centre = from + (i + 0.5) * scale;
    const start = Math.max(0, Math.floor(centre - reach + 0.5));
    const end = Math.min(size, Math.floor(centre + reach + 0.5));
    const weights = Float64Array.from({ length: Math.max(1, end - start) }, (__, k) =>
      Math.max(0, 1 - Math.abs((start + k + 0.5 - centre) / reach)),
    );
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return {
      start: Math.min(start, size - weights.length),
      weights: sum === 0 ? weights.fill(1 / weights.length) : weights.map((weight) => weight / sum),
    };
  });
}

function rows(plane: Float32Array, { width, height }: PixelImage, x: readonly Taps[]): Float32Array {
  const out = new Float32Array(x.length * height);
  for (let row = 0; row < height; row++) {
    x.forEach(({ start, weights }, i) => {
      let sum = 0;
      for (let k = 0; k < weights.length; k++) sum += (plane[row * width + start + k] ?? 0) * (weights[k] ?? 0);
      out[row * x.length + i] = sum;
    });
  }
  return out;
}

function columns(plane: Float32Array, height: number, width: number, y: readonly Taps[]): Float32Array {
  const out = new Float32Array(width * y.length);
  y.forEach(({ start, weights }, row) => {
    for (let i = 0; i < width; i++) {
      let sum = 0;
      for (let k = 0; k < weights.length && start + k < height; k++)
        sum += (plane[(start + k) * width + i] ?? 0) * (weights[k] ?? 0);
      out[row * width + i] = sum;
    }
  });
  return out;
}
