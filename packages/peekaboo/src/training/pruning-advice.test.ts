import { describe, expect, it } from "vitest";
import { againstEmptyLayers, againstTies } from "./pruning-advice.js";

const few = {
  pruner: "SynFlow",
  density: 0.01,
  iterations: 5,
  shots: 1,
  schedule: "exponential",
  minKept: null,
} as const;

describe("advice after pruning names only what differs from the settings", () => {
  it.each([
    [few, "Give a higher --prune-ratio (0.01 now), --min-kept 1 or --prune-iters 100 (5 now)."],
    [
      { ...few, schedule: "linear" },
      "Give a higher --prune-ratio (0.01 now), --min-kept 1, --prune-iters 100 (5 now) or --prune-schedule exponential.",
    ],
    [{ ...few, iterations: 100 }, "Give a higher --prune-ratio (0.01 now) or --min-kept 1."],
    [{ ...few, iterations: 300 }, "Give a higher --prune-ratio (0.01 now) or --min-kept 1."],
    [
      { ...few, pruner: "Mag" },
      "Give a higher --prune-ratio (0.01 now), --min-kept 1 or --pruner SynFlow with --prune-iters 100.",
    ],
    [
      { ...few, pruner: "SNIP", iterations: 100 },
      "Give a higher --prune-ratio (0.01 now), --min-kept 1 or --pruner SynFlow.",
    ],
  ] as const)("where a layer is empty after %j", (settings, words) => expect(againstEmptyLayers(settings)).toBe(words));

  it.each([
    [{ ...few }, "Give --prune-iters 1."],
    [{ ...few, shots: 2 }, "Give --prune-iters 1 and --prune-shots 1."],
    [{ ...few, iterations: 1 }, "Give another --init-method or --pruner."],
  ])("where scores are equal after %j", (settings, words) => expect(againstTies(settings)).toBe(words));
});
