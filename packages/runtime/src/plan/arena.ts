import type { Geometry } from "./geometry.js";

/** Where a buffer begins: at a cache line. */
const ALIGNMENT = 64;

/** Room for a value while it is needed. */
export interface Buffer {
  readonly geometry: Geometry;
  /** What lies around the image. */
  readonly fill: number;
  /** Which of its numbers are written: of buffers that differ in it, one can't take the other's place. */
  readonly pattern: string;
  /** Where it begins, in bytes. */
  base: number;
}

/** What is done with buffers at one time. */
export interface Use {
  readonly reads: readonly Buffer[];
  readonly writes: Buffer;
}

/**
 * Gives each buffer its place. One that nobody reads any more leaves its place to the next of the same geometry, whose margins
 * are then what they should be, as only images are written. Returns the bytes in use, and each place with its fill.
 */
export function place(uses: readonly Use[], result: Buffer): { bytes: number; places: Buffer[] } {
  const lastUse = new Map<Buffer, number>();
  uses.forEach(({ reads, writes }, time) => {
    for (const buffer of [writes, ...reads]) lastUse.set(buffer, time);
  });
  lastUse.set(result, uses.length);
  const free = new Map<string, number[]>();
  const places: Buffer[] = [];
  let bytes = 0;
  uses.forEach(({ reads, writes }, time) => {
    const vacant = free.get(keyOf(writes))?.pop();
    if (vacant === undefined) {
      writes.base = bytes;
      bytes += aligned(4 * writes.geometry.size);
      places.push(writes);
    } else writes.base = vacant;
    for (const buffer of new Set([writes, ...reads])) {
      if (lastUse.get(buffer) !== time) continue;
      free.set(keyOf(buffer), [...(free.get(keyOf(buffer)) ?? []), buffer.base]);
    }
  });
  return { bytes, places };
}

function keyOf({ geometry, fill, pattern }: Buffer): string {
  return JSON.stringify([geometry, String(fill), pattern]);
}

/** `bytes`, up to where the next buffer may begin. */
export function aligned(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}
