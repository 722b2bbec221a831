import type { TrainConfig } from "../config/config.js";
import { OUTWARD } from "../runs/run-record.js";

/** A run's settings by path, as JSON; those that only show or place it left out. */
export function leavesOf(config: TrainConfig | null): Map<string, string> {
  return new Map(config === null ? [] : leaves(config, "").filter(([path]) => !OUTWARD.has(path)));
}

function leaves(record: object, prefix: string): [path: string, value: string][] {
  return Object.entries(record).flatMap(([name, value]: [string, unknown]) =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? leaves(value, `${prefix}${name}.`)
      : [[`${prefix}${name}`, JSON.stringify(value)] as [string, string]],
  );
}

/** The paths at which not all have the same value, in the settings' order; what is none in one and has parts in another, by its parts. */
export function variedPaths(all: readonly ReadonlyMap<string, string>[]): string[] {
  const known = all.filter((settings) => settings.size > 0);
  const paths = [...new Set(known.flatMap((settings) => [...settings.keys()]))];
  const isWhole = (path: string) => !paths.some((other) => other.startsWith(`${path}.`));
  return paths.filter((path) => new Set(known.map((settings) => settings.get(path))).size > 1 && isWhole(path));
}
