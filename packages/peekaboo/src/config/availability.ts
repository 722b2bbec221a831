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

const gates: readonly Gate[] = [
  {
    flag: "--arch",
    remedy: "use a ResNet or a PsgResNet",
    asks: ({ arch }) => (/^(Psg)?Seed/.test(arch) ? arch : null),
  },
  {
    flag: "--hidden-act",
    inHelp: "Not available yet.",
    remedy: "leave it out",
    asks: ({ hiddenAct }) => hiddenAct,
  },
  {
    flag: "--scaling-input",
    inHelp: "Not available yet.",
    remedy: "leave it out",
    asks: ({ scalingInput }) => (scalingInput ? "the flag" : null),
  },
  {
    flag: "--dataset",
    remedy: "use cifar10",
    asks: ({ dataset }) => (dataset === "cifar10" ? null : dataset),
  },
  {
    flag: "--pruner",
    inHelp: "SNIP and GraSP are not available yet.",
    remedy: "use SynFlow or Mag",
    asks: ({ pruning }) => (pruning?.pruner === "SNIP" || pruning?.pruner === "GraSP" ? pruning.pruner : null),
  },
  {
    flag: "--resume",
    inHelp: "Not available yet.",
    remedy: "leave it out",
    asks: ({ resume }) => (resume === "never" ? null : resume),
  },
];

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
