import { LANES, vectorsOf } from "../plan/geometry.js";

/** Vectors whose sums stay in registers: of the 16 that x64 has, a term and what it reads need the rest. */
export const MAX_VECTORS = 8;

/** Rectangles that cover an image: `count` of them one below the other, each of `rows` × `vectors`. */
export interface Tiles {
  /** The first pixel. */
  readonly y: number;
  readonly x: number;
  readonly rows: number;
  readonly vectors: number;
  /** The floats in the last vector of a row that belong to the image. */
  readonly lastLanes: number;
  readonly count: number;
}

/** Covers an image with as few tiles of at most so many vectors as possible, all of nearly the same size. */
export function tilesOf(height: number, width: number, most = MAX_VECTORS): Tiles[] {
  const vectors = vectorsOf(width);
  const columns = even(vectors, most);
  let x = 0;
  return columns.flatMap((column) => {
    const left = LANES * x;
    x += column;
    const lastLanes = x === vectors ? width - LANES * (vectors - 1) : LANES;
    const rows = even(height, Math.max(1, Math.floor(most / column)));
    const tall = rows[0] ?? 1;
    const full = rows.filter((count) => count === tall).length;
    const tile = { x: left, vectors: column, lastLanes };
    const low = rows
      .slice(full)
      .map((count, index) => ({ ...tile, rows: count, y: full * tall + index * count, count: 1 }));
    return [{ ...tile, rows: tall, y: 0, count: full }, ...group(low)];
  });
}

/** `total` in parts of at most `most`: as few and as even as can be, larger ones first. */
function even(total: number, most: number): number[] {
  const parts = Math.ceil(total / most);
  return Array.from({ length: parts }, (_, index) => Math.ceil((total - index) / parts));
}

/** Tiles of the same height, one below the other, as one. */
function group(tiles: readonly Tiles[]): Tiles[] {
  const [first] = tiles;
  return first === undefined ? [] : [{ ...first, count: tiles.length }];
}
