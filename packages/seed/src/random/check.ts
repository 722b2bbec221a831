import { quoted, UserError } from "@peekaboo/files/errors";

/**
 * Returns `seed` if it is an integer from 0 to 2^53 - 1, the integers that every JSON reader and JavaScript engine keeps exact.
 * @throws {UserError} otherwise.
 */
export function checkSeed(seed: unknown): number {
  if (typeof seed === "number" && Number.isSafeInteger(seed) && seed >= 0) return seed;
  throw new UserError({
    operation: "seed random numbers",
    argument: "seed",
    expected: `an integer from 0 to ${Number.MAX_SAFE_INTEGER}`,
    received: typeof seed === "string" ? quoted(seed) : String(seed),
  });
}

/** @throws {RangeError} unless `value` is an integer from `least` to `most`: a fault of the calling code, not of a user. */
export function assertInteger(name: string, value: number, least = 0, most = Number.MAX_SAFE_INTEGER): void {
  if (!Number.isSafeInteger(value) || value < least || value > most) {
    throw new RangeError(`${name}: expected an integer from ${least} to ${most}, received ${value}`);
  }
}
