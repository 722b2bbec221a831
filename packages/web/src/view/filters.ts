import type { StageFacts } from "../protocol.js";
import { drawingOf } from "./dom.js";

/** Seen on light and on dark alike. */
const POSITIVE = "#2f7ed8";
const NEGATIVE = "#e0812a";
const CUT = "#8a8f98";
const MOST_CELLS = 4096;
const GAP = 0.7;

/** Draws the first layer: a column of kernels a filter, one for each channel that it reads. Gives the number of filters drawn, 0 for more weights than fit. */
export function drawFilters(canvas: HTMLCanvasElement, filters: NonNullable<StageFacts["filters"]>): number {
  const [outputs = 1, inputs = 1, height = 1, width = 1] = filters.shape;
  const area = height * width;
  if (inputs * area > MOST_CELLS) return 0;
  const shown = Math.max(1, Math.min(outputs, Math.floor(MOST_CELLS / (inputs * area))));
  const across = Math.min(
    shown,
    Math.max(1, Math.round(Math.sqrt((shown * 1.7 * (inputs * height + 1)) / (width + 1)))),
  );
  const down = Math.ceil(shown / across);
  const [stepX, stepY] = [width + GAP, inputs * (height + 0.15) + GAP];
  const cell = Math.max(3, Math.min(20, Math.floor(1040 / (across * stepX))));
  canvas.width = Math.ceil((across * stepX - GAP) * cell);
  canvas.height = Math.ceil((down * stepY - GAP) * cell);
  const context = drawingOf(canvas);
  const most = filters.data.reduce((largest, value) => Math.max(largest, Math.abs(value)), 1e-12);
  for (let n = 0; n < shown; n++) {
    for (let c = 0; c < inputs; c++) {
      const left = (n % across) * stepX;
      const top = Math.floor(n / across) * stepY + c * (height + 0.15);
      for (let i = 0; i < area; i++) {
        const value = filters.data[(n * inputs + c) * area + i] ?? 0;
        drawCell(context, value / most, (left + (i % width)) * cell, (top + Math.floor(i / width)) * cell, cell);
      }
    }
  }
  return shown;
}

function drawCell(context: CanvasRenderingContext2D, value: number, x: number, y: number, size: number): void {
  const inner = size - Math.max(1, size / 10);
  if (value === 0) {
    context.globalAlpha = 1;
    context.fillStyle = CUT;
    const dot = Math.max(1, size / 5);
    context.fillRect(x + (inner - dot) / 2, y + (inner - dot) / 2, dot, dot);
    return;
  }
  context.globalAlpha = 0.25 + 0.75 * Math.sqrt(Math.abs(value));
  context.fillStyle = value > 0 ? POSITIVE : NEGATIVE;
  context.fillRect(x, y, inner, inner);
}
