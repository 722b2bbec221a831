import { describe, expect, it } from "vitest";
import { givenAsJson } from "../config/given.js";
import { trainOptions } from "../config/options.js";
import { parseStudy, planStudy } from "./study.js";

const plan = (json: unknown, ...rest: [Parameters<typeof planStudy>[2]?]) =>
  planStudy("s.json", parseStudy("s.json", json), ...rest);
const names = (json: unknown) => plan(json).runs.map(({ name }) => name);

describe("planStudy", () => {
  it("combines each method with each value of the grid, and names the runs after what varies", () => {
    const study = plan({
      name: "two",
      base: { width: 0.25, pruning: { pruner: "SynFlow" } },
      runs: [
        { name: "PaB", arch: "PsgResNet18", optimizer: "BOP" },
        { name: "dense SGD", arch: "ResNet18" },
      ],
      grid: { "pruning.density": [0.1, 0.3], seed: [0, 1] },
    });
    expect(study.runs.map(({ name }) => name)).toEqual([
      "PaB-density0.1-seed0",
      "PaB-density0.1-seed1",
      "PaB-density0.3-seed0",
      "PaB-density0.3-seed1",
      "dense_SGD-density0.1-seed0",
      "dense_SGD-density0.1-seed1",
      "dense_SGD-density0.3-seed0",
      "dense_SGD-density0.3-seed1",
    ]);
    const { method, given, config } = study.runs[3] ?? {};
    expect(method).toBe("PaB");
    expect(given && givenAsJson(given)).toEqual({
      arch: "PsgResNet18",
      width: 0.25,
      seed: 1,
      optimizer: "BOP",
      "pruning.pruner": "SynFlow",
      "pruning.density": 0.3,
    });
    expect(config).toMatchObject({ arch: "PsgResNet18", width: 0.25, seed: 1, pruning: { density: 0.3 } });
  });

  it("takes several grids, and what two of them hold once", () => {
    const grid = [
      { "pruning.pruner": ["SNIP", "Rand"] },
      { "pruning.pruner": ["Rand"], "pruning.maskShuffle": [true, false] },
    ];
    expect(names({ name: "g", grid })).toEqual([
      "SNIP-not-mask-shuffle-seed0",
      "Rand-not-mask-shuffle-seed0",
      "Rand-mask-shuffle-seed0",
    ]);
    expect(names({ name: "g", grid: { seed: [0, 0, 1] } })).toEqual(["seed0", "seed1"]);
  });

  it("lets other values take the place of the study's", () => {
    const axes = new Map([
      [trainOptions.seed, [5]],
      [trainOptions.epochs, [1]],
    ]);
    const study = plan({ name: "g", runs: [{ name: "a", epochs: 9 }], grid: { seed: [0, 1] } }, axes);
    expect(study.runs.map(({ name, config }) => [name, config.epochs])).toEqual([["a-seed5", 1]]);
  });

  it.each([
    [{}, /^read the study: expected an object with name, .* for "s.json", received another \("name": .*\)\.$/],
    [{ name: "g", gird: {} }, /did you mean grid\?$/],
    [{ name: "a/b" }, /letters, digits/],
    [{ name: "g", base: { width: -1 } }, /^read the study: .* for width in "s.json", received -1\.$/],
    [{ name: "g", grid: { sed: [1] } }, /an unknown one; did you mean seed\?$/],
    [{ name: "g", grid: { bop: [{ ar: 0.1, tau: 1 }] } }, /expected one setting by its whole path/],
    [{ name: "g", base: { savedir: "x" } }, /one that the sweep itself gives/],
    [{ name: "g", base: { distributed: { nprocPerNode: 2 } } }, /one that the sweep itself gives/],
    [{ name: "g", runs: [{ name: 3 }] }, /the name of a method in "s.json", received 3\.$/],
    [
      { name: "g", grid: { arch: ["ResNet81"] } },
      /in the run {"arch":"ResNet81"} of "s.json", received "ResNet81"; did you mean/,
    ],
    [{ name: "g", grid: { seed: Array.from({ length: 10001 }, (_, i) => i) } }, /at most 10000 runs .* received 10001/],
  ])("refuses what is no study in one sentence (%#)", (json, words) => {
    expect(() => plan(json)).toThrow(words);
  });
});
