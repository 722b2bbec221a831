import { TorchError, UserError } from "@peekaboo/torch";

/** Whether libtorch could not get the memory that it asked for. */
export function isOutOfMemory(error: unknown): error is TorchError {
  return error instanceof TorchError && error.kind === "memory";
}

/**
 * The largest of half of `images`, a quarter and so on for which `fits` is true; 0 if there is none. Smaller batches are
 * tried rather than computed: what a step takes depends on the network, and what can be had on the whole machine.
 */
export function largestFitting(images: number, fits: (images: number) => boolean): number {
  for (let fewer = Math.floor(images / 2); fewer > 0; fewer = Math.floor(fewer / 2)) if (fits(fewer)) return fewer;
  return 0;
}

/**
 * What the user is told when a batch of `images` does not fit in memory.
 *
 * @param fitting a batch that does; 0 when none was found, undefined when none was looked for
 */
export function batchTooLarge(cause: TorchError, images: number, fitting?: number): UserError {
  const [asked] = /\d+ bytes/.exec(cause.message) ?? ["more memory"];
  const fewer = fitting === 0 ? "a batch of 1 doesn't fit either: lower --width" : `give --bs ${fitting}, which fits`;
  return new UserError({
    operation: "train",
    argument: "--bs",
    expected: "a batch that fits in memory",
    received: `${images}, for which ${asked} could not be had`,
    remedy: fitting === undefined ? "give a smaller one" : fewer,
    cause,
  });
}
