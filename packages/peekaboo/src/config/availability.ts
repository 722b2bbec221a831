import { UserError } from "@peekaboo/torch/errors";
import type { TrainConfig } from "../config.js";

interface Gate {
  readonly flag: string;
  /** What the flag's help adds, if the help speaks of it. */
  readonly inHelp?: string;
  /** What is used instead, for now. */
  readonly remedy: string;
  /** What the configuration asks for that can't be done yet; null when it doesn't. */
  asks(config: TrainConfig): string | null;
}

/** None at present. */
const gates: readonly Gate[] = [];

/** What the help of a flag adds as long as it can't be used, or not in full. */
export function availabilityNote(flags: readonly string[]): string | undefined {
  return gates.find(({ flag }) => flags.includes(flag))?.inHelp;
}

/** @throws {UserError} when the configuration asks for a feature that is announced and not available yet. */
export function refuseUnavailable(config: TrainConfig): void {
  for (const { flag, remedy, asks } of gates) {
    const asked = asks(config);
    if (asked === null) continue;
    throw new UserError({
      operation: "train",
      argument: flag,
      expected: "a feature of this version",
      received: `${asked}, which is not available yet`,
      remedy,
    });
  }
}
