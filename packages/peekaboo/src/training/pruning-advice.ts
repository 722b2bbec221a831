import type { PruningConfig } from "../config/config.js";
import { setting } from "../setting.js";

type Settings = Pick<PruningConfig, "pruner" | "density" | "iterations" | "shots" | "schedule" | "minKept">;

/** The rounds of the paper on synaptic flow (Tanaka et al. 2020, §6), whose layers don't end up empty. */
const ROUNDS = 100;

/** What to change of the settings so that no layer ends up empty: only what differs from them. */
export function againstEmptyLayers({ pruner, density, iterations, schedule, minKept }: Settings): string {
  const flows = pruner === "SynFlow";
  const rounds =
    iterations < ROUNDS ? [`${setting("pruning.iterations")} ${ROUNDS}${flows ? ` (${iterations} now)` : ""}`] : [];
  const shape = flows && schedule === "linear" ? [`${setting("pruning.schedule")} exponential`] : [];
  const ways = flows ? [...rounds, ...shape] : [[`${setting("pruning.pruner")} SynFlow`, ...rounds].join(" with ")];
  const least = minKept === null ? [`${setting("pruning.minKept")} 1`] : [];
  return `Give ${either([`a higher ${setting("pruning.density")} (${density} now)`, ...least, ...ways])}.`;
}

/** What to change of the settings so that fewer scores are equal. */
export function againstTies({ iterations, shots }: Settings): string {
  const once = [
    ...(iterations > 1 ? [`${setting("pruning.iterations")} 1`] : []),
    ...(shots > 1 ? [`${setting("pruning.shots")} 1`] : []),
  ];
  return once.length > 0
    ? `Give ${once.join(" and ")}.`
    : `Give another ${setting("initMethod")} or ${setting("pruning.pruner")}.`;
}

function either(ways: readonly string[]): string {
  return ways.length < 2 ? ways.join() : `${ways.slice(0, -1).join(", ")} or ${ways.at(-1)}`;
}
