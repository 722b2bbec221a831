import type { PixelImage } from "@peekaboo/runtime";
import { drawingOf } from "./dom.js";

const SIDE = 28;
/** The longer side of MNIST's digits. */
const DIGIT = 20;
const INK = 32;

/**
 * White strokes on black as 28×28 grey pixels, null where there are none. Digits are scaled to 20 pixels and moved so that their
 * centre of mass is in the middle, as MNIST's were (LeCun et al., "Gradient-Based Learning Applied to Document Recognition", 1998).
 */
export function centred(ink: HTMLCanvasElement, digits: boolean): PixelImage | null {
  const found = extent(ink);
  if (found === null) return null;
  const canvas = document.createElement("canvas");
  canvas.width = SIDE;
  canvas.height = SIDE;
  const context = drawingOf(canvas);
  context.fillStyle = "#000";
  context.fillRect(0, 0, SIDE, SIDE);
  context.imageSmoothingQuality = "high";
  const scale = digits ? DIGIT / found.longer : SIDE / ink.width;
  const [x, y] = digits ? [SIDE / 2 - found.x * scale, SIDE / 2 - found.y * scale] : [0, 0];
  context.drawImage(ink, x, y, ink.width * scale, ink.height * scale);
  const { data } = context.getImageData(0, 0, SIDE, SIDE);
  return { data: Uint8Array.from({ length: SIDE * SIDE }, (_, i) => data[i * 4] ?? 0), width: SIDE, height: SIDE };
}

/** The longer side of what is drawn, and its centre of mass. */
function extent(ink: HTMLCanvasElement): { longer: number; x: number; y: number } | null {
  const { data, width, height } = drawingOf(ink).getImageData(0, 0, ink.width, ink.height);
  let [mass, sumX, sumY, left, right, top, bottom] = [0, 0, 0, width, -1, height, -1];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const value = data[(y * width + x) * 4] ?? 0;
      if (value < INK) continue;
      mass += value;
      sumX += value * (x + 0.5);
      sumY += value * (y + 0.5);
      [left, right] = [Math.min(left, x), Math.max(right, x)];
      [top, bottom] = [Math.min(top, y), Math.max(bottom, y)];
    }
  }
  if (mass === 0) return null;
  return { longer: Math.max(right - left, bottom - top) + 1, x: sumX / mass, y: sumY / mass };
}
