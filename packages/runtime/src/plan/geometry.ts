import type { Shape } from "@peekaboo/seed";

/** How many pixels around an image are read: each is `fill`. */
export interface Margins {
  readonly top: number;
  readonly left: number;
  readonly bottom: number;
  readonly right: number;
}

/** Where a value's numbers lie within its buffer; all counts are of floats. */
export interface Geometry {
  readonly shape: Shape;
  /** From a row to the next, and from a channel to the next. */
  readonly row: number;
  readonly plane: number;
  /** Where the first channel's first pixel is. */
  readonly origin: number;
  readonly size: number;
}

/** Floats in a vector. */
export const LANES = 4;

/** Vectors that hold a row, the last of which may reach beyond it. */
export function vectorsOf(width: number): number {
  return Math.ceil(width / LANES);
}

/**
 * Planes with margins, as close together as can be: what is left of a row is what is right of the row above, and what is above
 * a channel is what is below the one before. A row's last vector may reach into the margin, where it writes what lies there.
 */
export function planes(shape: Shape, { top, left, bottom, right }: Margins): Geometry {
  const [channels, height, width] = shape;
  const row = Math.max(LANES * vectorsOf(width), width + Math.max(left, right));
  const plane = row * (height + Math.max(top, bottom));
  const origin = row * top + left;
  // The last vectors of the last row read beyond its margin what no result depends on.
  return { shape, row, plane, origin, size: origin + channels * plane + right + 2 * LANES };
}

/** The larger of two margins on each side. */
export function wider(a: Margins, b: Margins): Margins {
  return {
    top: Math.max(a.top, b.top),
    left: Math.max(a.left, b.left),
    bottom: Math.max(a.bottom, b.bottom),
    right: Math.max(a.right, b.right),
  };
}

export const NO_MARGINS: Margins = { top: 0, left: 0, bottom: 0, right: 0 };
