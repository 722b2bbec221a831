import { RandomStream } from "@peekaboo/seed";

/** Integers in [0, below). */
export type Random = (below: number) => number;

/** The numbers of one input: they follow from the seed and its name alone, so that it can be made again by itself. */
export function randomOf(seed: number, name: string): Random {
  const stream = new RandomStream(seed, `faults/${name}`);
  let next = 0;
  return (below) => stream.uint32(next++) % below;
}

/** One of `items`. */
export function oneOf<T>(random: Random, items: readonly T[]): T {
  const { [random(items.length)]: item } = items;
  if (item === undefined) throw new RangeError("oneOf: no items");
  return item;
}
