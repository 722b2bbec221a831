import { UserError } from "@peekaboo/files/errors";
import type { Graph, Shape } from "@peekaboo/seed";

/** The most pixels a side: each 32 of a row are code of their own. */
const MAX_SIDE = 2 ** 15;
/** The most entries of lists that no tensor pays for: a channel of any layer is one, and each pixel of a pool's window for each. */
const MAX_ENTRIES = 2 ** 23;
/** The most memory that a network may need: more than any that suits one image at a time. */
export const MAX_BYTES = 2 ** 31;

/**
 * Looks at what planning alone would cost, before it is begun.
 * @throws {UserError} for images or pools that no network has, which a few bytes of a file could ask for.
 */
export function checkLimits({ nodes }: Graph, shapes: readonly Shape[]): void {
  const side = shapes.reduce((most, [, height, width]) => Math.max(most, height, width), 0);
  if (side > MAX_SIDE) refuse("its images", `at most ${MAX_SIDE} pixels a side`, String(side));
  const entries = nodes.map((node, index) => {
    const [channels = 0] = shapes[index + 1] ?? [];
    return "kernel" in node ? channels * node.kernel[0] * node.kernel[1] : channels;
  });
  const total = entries.reduce((sum, count) => sum + count, 0);
  if (total > MAX_ENTRIES)
    refuse("its layers", `at most ${MAX_ENTRIES} channels, times the windows of pools`, String(total));
}

/** @throws {UserError} for more memory than a network may take. */
export function checkBytes(bytes: number, most: number): void {
  if (bytes <= most) return;
  const told = (size: number) => `${Math.ceil(size / 2 ** 20)} MiB`;
  refuse("its memory", `at most ${told(most)}`, told(bytes));
}

function refuse(argument: string, expected: string, received: string): never {
  throw new UserError({ operation: "prepare a network", argument, expected, received });
}
