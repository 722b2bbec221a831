import type { Kind } from "./kinds.js";

/** How often a run saves within an epoch: every so many optimiser steps, or seconds. */
export type CheckpointInterval = { readonly steps: number } | { readonly seconds: number };

const SECONDS: ReadonlyMap<string, number> = new Map([
  ["s", 1],
  ["m", 60],
  ["h", 3600],
]);
const LONGEST_SECONDS = 7 * 24 * 3600;

/** Steps as `500`, a time as `90s`, `5m` or `1h`, and `epoch`, which is null: only between epochs. */
export function checkpointInterval(): Kind<CheckpointInterval | null> {
  return {
    expected: "steps (500), a time of at most seven days (90s, 5m, 1h) or epoch",
    structured: true,
    fromText(text) {
      const trimmed = text.trim().toLowerCase();
      if (trimmed === "epoch") return null;
      const [, digits, unit = ""] = /^(\d{1,16})([smh]?)$/.exec(trimmed) ?? [];
      if (digits === undefined) return undefined;
      const factor = SECONDS.get(unit);
      return factor === undefined ? accepted("steps", Number(digits)) : accepted("seconds", Number(digits) * factor);
    },
    remedy: (text) =>
      /^\s*\d{16,}\s*$/.test(text) ? `the most steps are ${Number.MAX_SAFE_INTEGER}, 2^53 - 1` : undefined,
    fromJson(value) {
      if (value === null) return null;
      if (typeof value !== "object") return undefined;
      const [[unit, count] = [], ...more] = Object.entries(value);
      if (more.length > 0 || (unit !== "steps" && unit !== "seconds")) return undefined;
      return accepted(unit, count);
    },
  };
}

function accepted(unit: "steps" | "seconds", value: unknown): CheckpointInterval | undefined {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 1) return undefined;
  if (unit === "steps") return { steps: value };
  return value <= LONGEST_SECONDS ? { seconds: value } : undefined;
}

/** When the next checkpoint within an epoch is due. */
export class CheckpointClock {
  readonly #interval: CheckpointInterval | null;
  #saved = performance.now();

  constructor(interval: CheckpointInterval | null) {
    this.#interval = interval;
  }

  /** Whether to save after this many steps. */
  isDue(step: number): boolean {
    const interval = this.#interval;
    if (interval === null) return false;
    if ("steps" in interval) return step % interval.steps === 0;
    return performance.now() - this.#saved >= interval.seconds * 1000;
  }

  /** Takes note of a checkpoint, whatever the reason for it. */
  reset(): void {
    this.#saved = performance.now();
  }
}
