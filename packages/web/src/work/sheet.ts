import type { PixelImage } from "@peekaboo/runtime";
import type { Sheet } from "../protocol.js";

const CHANNELS = 4;

/** One image of a sheet of RGBA pixels. */
export function tileOf({ image, width, height, columns }: Sheet, index: number): PixelImage {
  const [left, top] = [(index % columns) * width, Math.floor(index / columns) * height];
  const data = new Uint8ClampedArray(width * height * CHANNELS);
  for (let y = 0; y < height; y++) {
    const from = ((top + y) * image.width + left) * CHANNELS;
    data.set(image.data.subarray(from, from + width * CHANNELS), y * width * CHANNELS);
  }
  return { data, width, height };
}
