import type { PixelImage } from "@peekaboo/runtime";
import { drawingOf } from "./dom.js";

/** What a longer side is reduced to before the network's own rule takes over: a photograph of 100 megapixels fits no phone. */
const MOST_SIDE = 4096;
const SHOWN_SIDE = 640;

/** The pixels of an image file. @throws {Error} when the browser can't read it */
export async function decodeImage(file: Blob): Promise<PixelImage> {
  const bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" });
  const scale = Math.min(1, MOST_SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = drawingOf(canvas);
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

/** Shows pixels on a canvas, smaller where they are many. */
export function paint(canvas: HTMLCanvasElement, image: PixelImage): void {
  const whole = imageData(image);
  const scale = Math.min(1, SHOWN_SIDE / Math.max(image.width, image.height));
  if (scale === 1) {
    canvas.width = image.width;
    canvas.height = image.height;
    drawingOf(canvas).putImageData(whole, 0, 0);
    return;
  }
  const full = document.createElement("canvas");
  full.width = image.width;
  full.height = image.height;
  drawingOf(full).putImageData(whole, 0, 0);
  canvas.width = Math.max(1, Math.round(image.width * scale));
  canvas.height = Math.max(1, Math.round(image.height * scale));
  drawingOf(canvas).drawImage(full, 0, 0, canvas.width, canvas.height);
}

/** Grey or RGBA pixels as a canvas takes them. */
function imageData({ data, width, height }: PixelImage): ImageData {
  const out = new ImageData(width, height);
  if (data.length === out.data.length) out.data.set(data);
  else for (let i = 0; i < data.length; i++) out.data.set([data[i] ?? 0, data[i] ?? 0, data[i] ?? 0, 255], i * 4);
  return out;
}
