import type { PruningConfig } from "../config/config.js";

type Settings = Pick<PruningConfig, "pruner" | "density" | "iterations" | "shots" | "schedule" | "minKept">;

/** The rounds of the paper on synaptic flow (Tanaka et al. 2020, §6), whose layers don't end up empty. */
const ROUNDS = 100;

/** What to change of the settings so that no layer ends up empty: only what differs from them. */
export function againstEmptyLayers({ pruner, density, iterations, schedule, minKept }: Settings): string {
  const flows = pruner === "SynFlow";
  const rounds = iterations < ROUNDS ? [`--prune-iters ${ROUNDS}${flows ? ` (${iterations} now)` : ""}`] : [];
  const shape = flows && schedule === "linear" ? ["--prune-schedule exponential"] : [];
  const ways = flows ? [...rounds, ...shape] : [["--pruner SynFlow", ...rounds].join(" with ")];
  const least = minKept === null ? ["--min-kept 1"] : [];
  return `Give ${either([`a higher --prune-ratio (${density} now)`, ...least, ...ways])}.`;
}

/** What to change of the settings so that fewer scores are equal. */
export function againstTies({ iterations, shots }: Settings): string {
  const once = [...(iterations > 1 ? ["--prune-iters 1"] : []), ...(shots > 1 ? ["--prune-shots 1"] : [])];
  return once.length > 0 ? `Give ${once.join(" and ")}.` : "Give another --init-method or --pruner.";
}

function either(ways: readonly string[]): string {
  return ways.length < 2 ? ways.join() : `${ways.slice(0, -1).join(", ")} or ${ways.at(-1)}`;
}
