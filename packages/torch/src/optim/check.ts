import { UserError } from "@peekaboo/files/errors";

/** @throws {UserError} for the first value that is not a finite number from 0 (and below `below`, where it is given). */
export function checkRates(
  operation: string,
  rates: Readonly<Record<string, number>>,
  below = Number.POSITIVE_INFINITY,
): void {
  for (const [argument, rate] of Object.entries(rates)) {
    if (Number.isFinite(rate) && rate >= 0 && rate < below) continue;
    const expected = Number.isFinite(below) ? `a number from 0 to below ${below}` : "a finite number from 0";
    throw new UserError({ operation, argument, expected, received: String(rate) });
  }
}
