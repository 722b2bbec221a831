import { liveTensorCount, nn, scope, Tensor, UserError } from "@peekaboo/torch";
import { afterEach, describe, expect, it } from "vitest";
import { defineArchitecture } from "../models/build.js";
import { Network } from "../models/network.js";
import { type PruneOptions, prune } from "./loop.js";
import type { Pruner, WeightFactors } from "./pruner.js";
import { synFlow } from "./pruners/synflow.js";
import { selectMasks } from "./selection.js";
import { StreamedCuts } from "./streamed.js";

const networks: Network[] = [];
afterEach(() => {
  for (const network of networks.splice(0)) network.dispose();
});

function network(arch: string, { init = "kaiming_normal", width = 0.125 } = {}): Network {
  const made = new Network({ arch, numClasses: 10, width, imageShape: [3, 32, 32] });
  made.initialise(init as "kaiming_normal", 3);
  networks.push(made);
  return made;
}

/** Synaptic flow with all scores written down. */
const { factors: _, ...written } = synFlow;
const unused: Pruner = { ...written, name: "SynFlow, written" };

const masksOf = (own: Network) =>
  Object.fromEntries([...own.masks()].map(([name, mask]) => [name, Buffer.from(mask.toTypedArray().buffer)]));

/** Prunes two alike networks, with and without streamed scores, and expects the same of both. */
async function expectSame(make: () => Network, options: Omit<PruneOptions, "pruner">[]): Promise<void> {
  const [streamed, plain] = [make(), make()];
  for (const shot of options) {
    const reports = [
      await prune(streamed, { ...shot, pruner: synFlow }),
      await prune(plain, { ...shot, pruner: unused }),
    ];
    expect(reports[0]).toEqual(reports[1]);
    const [ours, theirs] = [masksOf(streamed), masksOf(plain)];
    expect(Object.keys(ours)).toEqual(Object.keys(theirs));
    for (const [name, bits] of Object.entries(ours)) expect(bits.equals(theirs[name] ?? bits), name).toBe(true);
  }
}

describe("synaptic flow without its scores in memory", () => {
  it.each(["ResNet20", "VGG11", "WideResNet28_10", "Conv4", "resnet18", "resnext50_32x4d"])(
    "prunes %s to the same masks as with them, shot after shot",
    async (arch) => {
      const shots = [0.5, 0.1].map((density) => ({ density, iterations: 3 }));
      await expectSame(() => network(arch, { width: 0.0625 }), shots);
    },
  );

  it.each([
    ["global", "linear", 5],
    ["local", "exponential", 7],
    ["erk", "exponential", 4],
    ["global", "exponential", 1],
  ] as const)("with %s scope, %s schedule and %i rounds, too", async (scope, schedule, iterations) => {
    const shots = [0.4, 0.02].map((density) => ({ density, iterations, scope, schedule }));
    await expectSame(() => network("ResNet20", { width: 0.25 }), shots);
  });

  it("where all weights are as large, and many scores are equal", async () => {
    const make = () => network("ResNet20", { init: "kaiming_constant_signed", width: 0.25 });
    await expectSame(make, [{ density: 0.5, iterations: 3, scope: "local" }]);
  });

  it("and where nothing is to be cut", async () => {
    await expectSame(() => network("ResNet20"), [{ density: 1, iterations: 2 }]);
  });

  it("writes them down where a layer is called twice", async () => {
    const twice = defineArchitecture({
      name: "Twice",
      build: ({ layers, numClasses }) => {
        const conv = layers.conv2d({ inChannels: 3, outChannels: 3, kernelSize: 3, padding: 1 });
        const head = layers.conv2d({ inChannels: 3, outChannels: numClasses, kernelSize: 32 });
        return new nn.Sequential(conv, conv, head, new nn.Flatten());
      },
    });
    const make = () => {
      const made = new Network({ arch: "Twice", architecture: twice, numClasses: 4 });
      made.initialise("kaiming_normal", 1);
      networks.push(made);
      return made;
    };
    scope(() => {
      const context = { network: make(), imageShape: [3, 32, 32], batches: [], density: 1, seed: 0 };
      context.network.module.to({ dtype: "float64" });
      expect(synFlow.factors?.(context)).toBeNull();
      for (const { probe } of context.network.prunable().values()) expect(probe).toBeNull();
    });
    await expectSame(make, [{ density: 0.3, iterations: 4 }]);
  });

  it("leaves no tensor behind", async () => {
    const own = network("ResNet20");
    const before = liveTensorCount();
    const counts: number[] = [];
    const onRound = () => void counts.push(liveTensorCount());
    await prune(own, { pruner: synFlow, density: 0.3, iterations: 4, onRound });
    expect(new Set(counts.slice(0, -1)).size).toBe(1);
    expect(liveTensorCount()).toBe(before + own.masks().size);
  });
});

describe("streamed cuts", () => {
  /** A layer of one pixel: its scores are gradient ⊙ input ⊙ weight. */
  function factorsOf(scores: readonly number[], weights: readonly number[]): Map<string, WeightFactors> {
    const row = (values: readonly number[]) => Tensor.from(Float64Array.from(values)).view(1, values.length, 1, 1);
    const gradient = row(scores.map((score, i) => (weights[i] ? score / (weights[i] ?? 1) : 1)));
    const weight = Tensor.from(Float64Array.from(weights)).view(weights.length, 1, 1, 1);
    return new Map([["a", { input: row([1]), gradient, weight, geometry: {} }]]);
  }

  it.each([
    ["as the round before foretells", 1.1],
    ["that has leapt", 1e9],
    ["that has fallen", 1e-9],
    ["that is zero", 0],
  ])("finds a threshold %s", (_, growth) => {
    scope(() => {
      const cuts = new StreamedCuts();
      const weights = Array.from({ length: 100 }, () => 1);
      let scale = 1;
      for (const density of [0.9, 0.7, 0.5, 0.3]) {
        const scores = weights.map((weight, i) => weight * scale * (1 + ((i * 37) % 100)));
        const factors = factorsOf(scores, weights);
        const expected = selectMasks(new Map([["a", Tensor.from(Float64Array.from(scores))]]), density, "global");
        const [cut] = cuts.cut(factors, density, "global");
        const [group] = expected.groups;
        expect(cut).toMatchObject(group ?? {});
        const kept = Array.from(factors.get("a")?.weight.toTypedArray() ?? [], Number);
        expect(kept).toEqual(Array.from(expected.masks.get("a")?.toTypedArray() ?? [], Number));
        weights.splice(0, weights.length, ...kept);
        scale *= growth;
      }
    });
  });

  it.each([
    ["NaN", Number.NaN],
    ["infinity", Number.POSITIVE_INFINITY],
  ])("refuses %s, and has cut nothing then", (name, value) => {
    scope(() => {
      const factors = factorsOf([1, value, value, 2], [1, 1, 1, 1]);
      const cut = () => new StreamedCuts().cut(factors, 0.25, "global");
      expect(cut).toThrow(UserError);
      expect(cut).toThrow(`received ${name}`);
      expect(factors.get("a")?.weight.view(-1).toArray()).toEqual([1, 1, 1, 1]);
    });
  });
});
