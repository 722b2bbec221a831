import { UserError } from "@peekaboo/torch";
import type { Batch } from "../data/batch.js";
import { isOutOfMemory } from "../native/memory.js";
import { setting } from "../setting.js";

/** What is tried with fewer images. */
export interface Attempt {
  /** The batch of so many images; what follows it is not looked at. */
  batches(images: number): AsyncIterable<Batch>;
  step(batch: Batch): void;
}

/**
 * The largest of half of `images`, a quarter and so on whose batch can be made and taken a step with; 0 if there is none.
 * Smaller batches are tried rather than computed: what a step takes depends on the network, and what can be had on the
 * whole machine.
 */
export async function largestFitting(images: number, attempt: Attempt): Promise<number> {
  for (let fewer = Math.floor(images / 2); fewer > 0; fewer = Math.floor(fewer / 2)) {
    if (await fits(fewer, attempt)) return fewer;
  }
  return 0;
}

async function fits(images: number, { batches, step }: Attempt): Promise<boolean> {
  try {
    for await (const batch of batches(images)) {
      try {
        step(batch);
      } finally {
        batch.input.dispose();
        batch.target.dispose();
      }
      break;
    }
    return true;
  } catch (failure) {
    // Numbers that are not finite say that there was memory to compute them.
    if (failure instanceof UserError) return true;
    if (isOutOfMemory(failure)) return false;
    throw failure;
  }
}

/**
 * What the user is told when a batch of `images` does not fit in memory.
 *
 * @param fitting a batch that does; 0 when none was found, undefined when none was looked for
 * @param least the smallest batch there can be: an image for each process
 */
export function batchTooLarge(cause: Error, images: number, fitting?: number, least = 1): UserError {
  const smaller = images > least ? "give a smaller one" : `lower ${setting("width")}, or train in fewer processes`;
  // The CPU's allocator tells bytes, CUDA's "20.00 MiB".
  const [asked] = /\d+ bytes|\d[\d.]* [KMGT]?i?B\b/.exec(cause.message) ?? ["more memory"];
  const none =
    images === 1 ? `lower ${setting("width")}` : `a batch of 1 doesn't fit either: lower ${setting("width")}`;
  const fewer = fitting === 0 ? none : `give ${setting("batchSize")} ${fitting}, which fits`;
  return new UserError({
    operation: "train",
    argument: setting("batchSize"),
    expected: "a batch that fits in memory",
    received: `${images}, for which ${asked} could not be had`,
    remedy: fitting === undefined ? smaller : fewer,
    cause,
  });
}
