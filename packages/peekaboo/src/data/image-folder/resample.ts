import type { Box } from "./crop.js";

/** Pixels, uint8 [height, width, 3]. */
export interface Pixels {
  data: Uint8Array;
  width: number;
  height: number;
}

const CHANNELS = 3;
/** Fractional bits of a weight: a sum of weights that is 1, times 255, then fits into 31 bits. */
const PRECISION = 22;
const HALF = 1 << (PRECISION - 1);

/** For each of a row of pixels, the first source pixel that it is made of, how many there are, and their weights. */
interface Filter {
  starts: Int32Array;
  counts: Int32Array;
  /** [pixels, stride], in units of 2^-PRECISION. */
  weights: Int32Array;
  stride: number;
}

/**
 * Resizes an image to `target` and gives the part `window` of the result: bilinear with antialiasing, rounded to bytes after
 * the rows and after the columns, as Pillow's BILINEAR is, bit for bit.
 */
export function resample(image: Pixels, target: { width: number; height: number }, window: Box): Pixels {
  const across = triangleFilter(image.width, target.width, window.left, window.width);
  const down = triangleFilter(image.height, target.height, window.top, window.height);
  const last = window.height - 1;
  const top = down.starts[0] ?? 0;
  const bottom = (down.starts[last] ?? 0) + (down.counts[last] ?? 0);
  const rows = filterRows(image, across, top, bottom);
  return { data: filterColumns(rows, window.width, down, top), width: window.width, height: window.height };
}

/** The filter of pixels `first` … `first` + `count` - 1 when `from` pixels become `to`: a triangle, wider where they become fewer. */
function triangleFilter(from: number, to: number, first: number, count: number): Filter {
  const scale = from / to;
  const support = Math.max(scale, 1);
  const stride = 2 * Math.ceil(support) + 1;
  const starts = new Int32Array(count);
  const counts = new Int32Array(count);
  const weights = new Int32Array(count * stride);
  const values = new Float64Array(stride);
  for (let i = 0; i < count; i++) {
    const centre = (first + i + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - support + 0.5));
    const taps = Math.min(from, Math.trunc(centre + support + 0.5)) - start;
    let sum = 0;
    for (let tap = 0; tap < taps; tap++) {
      const value = Math.max(0, 1 - Math.abs((start + tap - centre + 0.5) / support));
      values[tap] = value;
      sum += value;
    }
    starts[i] = start;
    counts[i] = taps;
    for (let tap = 0; tap < taps; tap++) {
      weights[i * stride + tap] = Math.trunc(0.5 + ((values[tap] ?? 0) / sum) * (1 << PRECISION));
    }
  }
  return { starts, counts, weights, stride };
}

/** Rows `top` … `bottom` - 1, each filtered. */
function filterRows({ data, width }: Pixels, filter: Filter, top: number, bottom: number): Uint8Array {
  const { starts, counts, weights, stride } = filter;
  const out = new Uint8Array((bottom - top) * starts.length * CHANNELS);
  let at = 0;
  for (let y = top; y < bottom; y++) {
    for (let x = 0; x < starts.length; x++) {
      const taps = counts[x] ?? 0;
      let source = (y * width + (starts[x] ?? 0)) * CHANNELS;
      let red = HALF;
      let green = HALF;
      let blue = HALF;
      for (let tap = 0; tap < taps; tap++, source += CHANNELS) {
        const weight = weights[x * stride + tap] ?? 0;
        red += (data[source] ?? 0) * weight;
        green += (data[source + 1] ?? 0) * weight;
        blue += (data[source + 2] ?? 0) * weight;
      }
      out[at++] = clipped(red);
      out[at++] = clipped(green);
      out[at++] = clipped(blue);
    }
  }
  return out;
}

/** The columns of rows `width` wide, of which the first is row `top` of the source, each filtered. */
function filterColumns(rows: Uint8Array, width: number, filter: Filter, top: number): Uint8Array {
  const { starts, counts, weights, stride } = filter;
  const length = width * CHANNELS;
  const out = new Uint8Array(starts.length * length);
  const sums = new Int32Array(length);
  for (let y = 0; y < starts.length; y++) {
    const taps = counts[y] ?? 0;
    sums.fill(HALF);
    // Row by row of the source, so that memory is read in its order.
    for (let tap = 0; tap < taps; tap++) {
      const weight = weights[y * stride + tap] ?? 0;
      const source = ((starts[y] ?? 0) - top + tap) * length;
      if (weight > 0) for (let x = 0; x < length; x++) sums[x] = (sums[x] ?? 0) + (rows[source + x] ?? 0) * weight;
    }
    for (let x = 0, at = y * length; x < length; x++) out[at + x] = clipped(sums[x] ?? 0);
  }
  return out;
}

/** Weights are rounded one by one, so that they may add up to a little more than 1. */
function clipped(sum: number): number {
  const value = sum >> PRECISION;
  return value > 255 ? 255 : value;
}

/** The image mirrored left to right, in place. */
export function mirror({ data, width, height }: Pixels): void {
  for (let y = 0; y < height; y++) {
    let left = y * width * CHANNELS;
    let right = left + (width - 1) * CHANNELS;
    for (; left < right; left += CHANNELS, right -= CHANNELS) {
      for (let channel = 0; channel < CHANNELS; channel++) {
        const other = data[left + channel] ?? 0;
        data[left + channel] = data[right + channel] ?? 0;
        data[right + channel] = other;
      }
    }
  }
}
