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
    [few, "Give a higher `pruning.density` (0.01 now), `pruning.minKept` 1 or `pruning.iterations` 100 (5 now)."],
    [
      { ...few, schedule: "linear" },
      "Give a higher `pruning.density` (0.01 now), `pruning.minKept` 1, `pruning.iterations` 100 (5 now) or `pruning.schedule` exponential.",
    ],
    [{ ...few, iterations: 100 }, "Give a higher `pruning.density` (0.01 now) or `pruning.minKept` 1."],
    [{ ...few, iterations: 300 }, "Give a higher `pruning.density` (0.01 now) or `pruning.minKept` 1."],
    [
      { ...few, pruner: "Mag" },
      "Give a higher `pruning.density` (0.01 now), `pruning.minKept` 1 or `pruning.pruner` SynFlow with `pruning.iterations` 100.",
    ],
    [
      { ...few, pruner: "SNIP", iterations: 100 },
      "Give a higher `pruning.density` (0.01 now), `pruning.minKept` 1 or `pruning.pruner` SynFlow.",
    ],
  ] as const)("where a layer is empty after %j", (settings, words) => expect(againstEmptyLayers(settings)).toBe(words));

  it.each([
    [{ ...few }, "Give `pruning.iterations` 1."],
    [{ ...few, shots: 2 }, "Give `pruning.iterations` 1 and `pruning.shots` 1."],
    [{ ...few, iterations: 1 }, "Give another `initMethod` or `pruning.pruner`."],
  ])("where scores are equal after %j", (settings, words) => expect(againstTies(settings)).toBe(words));
});
