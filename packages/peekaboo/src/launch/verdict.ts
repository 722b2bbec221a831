import { EXIT } from "../console/exit.js";
import { signalOf, statusOf, type UserSignal } from "../console/signals.js";
import type { Ending } from "./rank-process.js";

/** How a job ended. */
export type Outcome =
  | { readonly kind: "done" }
  | { readonly kind: "interrupted"; readonly status: number; readonly clause?: string }
  | { readonly kind: "failed"; readonly clause: string; readonly mistake: boolean };

export interface Endings {
  /** In the order in which they came, up to where others were stopped. */
  readonly own: readonly Ending[];
  /** The ranks that had to be killed. */
  readonly killed: readonly number[];
  /** Those that stayed when another had come to its end, and were stopped. */
  readonly late?: readonly number[];
  /** The user's signal, if one came, and whether a second one did, at which the ranks are killed. */
  readonly signal: UserSignal | null;
  readonly forced: boolean;
}

/**
 * Whether a rank failed: neither came to its end nor followed the user's signal. One that heard of it from another rank
 * first may tell of another signal.
 */
export function isFailure({ status, signal }: Ending, asked: UserSignal | null): boolean {
  if (status === EXIT.ok) return false;
  return asked === null || (signalOf(status) === undefined && signal !== asked);
}

/** The job's outcome from those of its ranks: the first that failed is at fault, the others suffer from it. */
export function outcomeOf({ own, killed, late = [], signal, forced }: Endings): Outcome {
  const culprit = own.find((ending) => isFailure(ending, signal));
  if (culprit !== undefined) {
    const hanging = killed.filter((rank) => rank !== culprit.rank);
    const clause = `rank ${culprit.rank} ${manner(culprit)}${hanging.length === 0 ? "" : `, and ${killedInWords(hanging)}`}`;
    return { kind: "failed", clause, mistake: culprit.status === EXIT.usage };
  }
  if (late.length > 0 && signal === null) {
    const clause = `${ranksInWords(late)} did not end when another rank had, and had to be stopped`;
    return { kind: "failed", clause, mistake: false };
  }
  const finished = !forced && killed.length === 0 && own.every(({ status }) => status === EXIT.ok);
  if (signal === null || finished) return { kind: "done" };
  const status = statusOf(signal);
  if (killed.length === 0) return { kind: "interrupted", status };
  return { kind: "interrupted", status, clause: killedInWords(killed) };
}

function manner({ status, signal, error }: Ending): string {
  if (error !== undefined) return `could not be started (${error})`;
  if (signal === "SIGKILL") return "was killed by SIGKILL, as happens when memory runs out";
  return signal === null ? `ended with exit status ${status}` : `was killed by ${signal}`;
}

function killedInWords(ranks: readonly number[]): string {
  return `${ranksInWords(ranks)} did not stop and had to be killed`;
}

function ranksInWords(ranks: readonly number[]): string {
  return ranks.length === 1 ? `rank ${ranks[0]}` : `ranks ${ranks.slice(0, -1).join(", ")} and ${ranks.at(-1)}`;
}
