import { describe, expect, it } from "vitest";
import { parseConfig } from "../config/config.js";
import { asCsv, askedDensity, groupsOf, type RunResult, spreadOf, variedIn } from "./results.js";
import type { RunFacts } from "./run-facts.js";

const facts = (own: Partial<RunFacts>): RunFacts => ({
  ...{ best: 60, last: 50, kept: 10, total: 100, macs: 30, denseMacs: 200, pabBytes: 25, idealBytes: 30.5 },
  ...{ flips: 7, seconds: 1.5, steps: 3, layers: [], flipsByStep: [], environment: {} },
  ...own,
});

const run = (name: string, json: unknown, own: Partial<RunResult> = {}): RunResult => ({
  ...{ name, method: null, config: parseConfig(json), command: [], status: "done", failure: null, facts: facts({}) },
  ...own,
});

describe("spreadOf", () => {
  it("gives the mean and the sample standard deviation, which one value has none of", () => {
    expect(spreadOf([2, 4, 9])).toEqual({ mean: 5, deviation: Math.sqrt(13) });
    expect(spreadOf([3])).toEqual({ mean: 3, deviation: null });
  });
});

describe("variedIn", () => {
  it("leaves out where runs lie, and how to prune where nothing is pruned", () => {
    const configs = [
      { seed: 0, threads: 1, expName: "a" },
      { seed: 1, threads: 2, pruning: { pruner: "SNIP", density: 0.1, iterations: 5 } },
      { seed: 1, pruning: { pruner: "SNIP", density: 0.2, iterations: 5 } },
    ].map((json) => ({ config: parseConfig(json) }));
    expect(variedIn(configs).map(({ path }) => path)).toEqual(["seed", "pruning.pruner", "pruning.density"]);
  });
});

describe("groupsOf", () => {
  it("puts seeds together, and names what is compared after what varies within a method", () => {
    const pruning = (pruner: string, density: number) => ({ pruner, density });
    const groups = groupsOf([
      run("a", { pruning: pruning("SNIP", 0.1), seed: 0 }, { facts: facts({ last: 10 }) }),
      run("b", { pruning: pruning("SNIP", 0.1), seed: 1 }, { facts: facts({ last: 20 }) }),
      run("c", { pruning: pruning("Rand", 0.1), seed: 0 }),
      run("d", { pruning: pruning("Rand", 0.5), seed: 0 }, { status: "failed", facts: null }),
      run("e", { arch: "SeedResNet18", hiddenAct: "edge-popup", pruning: { density: 0.1 } }, { method: "edge-popup" }),
    ]);
    expect(groups.map(({ method, density, runs, facts: done }) => [method, density, runs.length, done.length])).toEqual(
      [
        ["SNIP", 0.1, 2, 2],
        ["Rand", 0.1, 1, 1],
        ["Rand", 0.5, 1, 0],
        ["edge-popup", 0.1, 1, 1],
      ],
    );
    expect(groups[0]?.facts.map(({ last }) => last)).toEqual([10, 20]);
  });
});

it("the density of a run without pruning is 1", () => {
  expect(askedDensity(parseConfig({}))).toBe(1);
});

describe("asCsv", () => {
  it("gives a row a run, quotes what needs it, and leaves empty what isn't known", () => {
    const csv = asCsv([
      run("a", { seed: 0 }),
      run("b,c", { seed: 1 }, { status: "failed", failure: 'no "x"\nhere', facts: null }),
      run("d", { seed: 2 }, { facts: facts({ pabBytes: null }) }),
    ]);
    expect(csv).toBe(
      `run,method,seed,status,accuracy_best,accuracy_last,kept,weights,density,macs,macs_density,bits_per_weight,pab_bytes,ideal_bytes,flips,steps,seconds,failure
a,,0,done,60,50,10,100,0.1,30,0.15,2,25,31,7,3,1.5,
"b,c",,1,failed,,,,,,,,,,,,,,"no ""x""
here"
d,,2,done,60,50,10,100,0.1,30,0.15,,,31,7,3,1.5,
`,
    );
  });
});
