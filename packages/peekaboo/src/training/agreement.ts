import { Interrupted } from "../console/interrupt.js";
import type { SessionParts } from "./session-parts.js";

/** The sums of the ranks' values; throws Interrupted on all of them when a signal has come to one. */
export async function agree(
  { guard, ranks }: Pick<SessionParts, "guard" | "ranks">,
  values: readonly number[] = [],
): Promise<number[]> {
  const signal = await guard.pending();
  const sums = await ranks.sum([...values, signal === undefined ? 0 : 1]);
  if (sums.pop() !== 0) throw new Interrupted(signal ?? "SIGTERM");
  return sums;
}
