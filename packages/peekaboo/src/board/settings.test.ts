import { expect, it } from "vitest";
import { variedPaths } from "./settings.js";

it("names the settings in which runs differ, what is none in one by the parts that it has in another", () => {
  const none = new Map([
    ["seed", "1"],
    ["pruning.minKept", "null"],
    ["pruning.minKeptAll", "null"],
  ]);
  const one = new Map([
    ["seed", "1"],
    ["pruning.minKept.fraction", "0.01"],
    ["pruning.minKeptAll", "null"],
  ]);
  const two = new Map([
    ["seed", "2"],
    ["pruning.minKept.fraction", "0.01"],
    ["pruning.minKeptAll", "null"],
  ]);
  expect(variedPaths([none, none])).toEqual([]);
  expect(variedPaths([none, one])).toEqual(["pruning.minKept.fraction"]);
  expect(variedPaths([none, new Map(), two])).toEqual(["seed", "pruning.minKept.fraction"]);
  expect(variedPaths([one, two])).toEqual(["seed"]);
});
