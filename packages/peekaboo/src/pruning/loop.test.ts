import { UserError } from "@peekaboo/torch";
import { afterEach, describe, expect, it } from "vitest";
import { Network } from "../models/network.js";
import { magnitude } from "../pruners/magnitude.js";
import type { Pruner } from "../pruners/pruner.js";
import { synFlow } from "../pruners/synflow.js";
import { prune } from "./loop.js";
import { shuffledMask } from "./shuffle.js";

const networks: Network[] = [];
afterEach(() => {
  for (const network of networks.splice(0)) network.dispose();
});

function tinyNetwork(arch = "ResNet20"): Network {
  const psg = {
    backward: true,
    msbBits: 8,
    msbBitsGrad: 16,
    threshold: { mode: "relative", value: 0 },
    sparsify: true,
    takeSign: false,
  } as const;
  const network = new Network({ arch, numClasses: 10, width: 0.25, psg });
  network.initialise("kaiming_normal", 1);
  networks.push(network);
  return network;
}

const base = { schedule: "exponential", scope: "global", imageShape: [3, 32, 32] } as const;

describe("pruning loop", () => {
  it("keeps the largest magnitudes with Mag, whatever the rounds", async () => {
    const [once, often] = [tinyNetwork(), tinyNetwork()];
    const report = await prune(once, { ...base, pruner: magnitude, density: 0.5, iterations: 1 });
    await prune(often, { ...base, pruner: magnitude, density: 0.5, iterations: 7 });
    expect(report.kept).toBe(report.total - Math.floor(0.5 * report.total));
    for (const [name, mask] of once.masks()) expect(often.masks().get(name)?.toArray()).toEqual(mask.toArray());
    const [smallestKept, largestCut] = [...once.prunable().values()].reduce(
      ([kept, cut], { weight, mask }) => {
        const values = weight.detach().toFloat32Array();
        mask?.toFloat32Array().forEach((bit, i) => {
          const size = Math.abs(values[i] ?? 0);
          if (bit === 1) kept = Math.min(kept, size);
          else cut = Math.max(cut, size);
        });
        return [kept, cut];
      },
      [Number.POSITIVE_INFINITY, 0],
    );
    expect(smallestKept).toBeGreaterThan(largestCut);
  });

  it("prunes a PSG network exactly as its plain twin, and leaves weights and training mode alone", async () => {
    const [plain, psg] = [tinyNetwork("ResNet20"), tinyNetwork("PsgResNet20")];
    const before = psg.prunable().get("conv1.weight")?.weight.toArray();
    const options = { ...base, pruner: synFlow, density: 0.3, iterations: 5 };
    await prune(plain, options);
    await prune(psg, options);
    for (const [name, mask] of plain.masks()) expect(psg.masks().get(name)?.toArray()).toEqual(mask.toArray());
    expect(psg.prunable().get("conv1.weight")?.weight.toArray()).toEqual(before);
    expect(psg.module.training).toBe(true);
  });

  it("never brings a weight back that an earlier shot removed", async () => {
    const network = tinyNetwork();
    await prune(network, { ...base, pruner: synFlow, density: 0.5, iterations: 3 });
    const first = new Map([...network.masks()].map(([name, mask]) => [name, mask.toFloat32Array()]));
    await prune(network, { ...base, pruner: synFlow, density: 0.2, iterations: 3 });
    for (const [name, mask] of network.masks()) {
      mask.toFloat32Array().forEach((bit, i) => {
        expect(bit).toBeLessThanOrEqual(first.get(name)?.[i] ?? 0);
      });
    }
  });

  it("with shuffle keeps each layer's count, and places by seed and name alone, the later shot within the earlier", async () => {
    const [network, plain] = [tinyNetwork(), tinyNetwork()];
    const options = { ...base, pruner: synFlow, iterations: 3 };
    const report = await prune(network, { ...options, density: 0.5, seed: 9, shuffle: true });
    expect(report.layers).toEqual((await prune(plain, { ...options, density: 0.5 })).layers);
    const first = new Map([...network.masks()].map(([name, mask]) => [name, mask.toTypedArray()]));
    for (const { name, kept } of report.layers) {
      const { shape } = network.masks().get(name) ?? { shape: [] };
      expect(first.get(name)).toEqual(shuffledMask(9, name, shape, kept));
    }
    const later = await prune(network, { ...options, density: 0.2, seed: 9, shuffle: true });
    expect(later.kept).toBe(later.total - Math.floor(0.8 * later.total));
    for (const [name, mask] of network.masks()) {
      mask.toFloat32Array().forEach((bit, i) => {
        expect(bit).toBeLessThanOrEqual(Number(first.get(name)?.[i] ?? 0));
      });
    }
  });

  it("tells how many weights went beyond the target for tied scores", async () => {
    const coarse: Pruner = {
      name: "coarse",
      needsData: false,
      score: ({ network }) =>
        new Map([...network.prunable()].map(([name, { weight }]) => [name, weight.detach().sign()])),
    };
    const network = tinyNetwork();
    const positive = [...network.prunable().values()].reduce(
      (sum, { weight }) => sum + weight.toFloat32Array().filter((w) => w > 0).length,
      0,
    );
    // With three quarters to stay the threshold is -1; with a quarter it is 1, which all positive weights equal.
    const report = await prune(network, { ...base, pruner: coarse, density: 0.75, iterations: 1 });
    expect([report.kept, report.tied]).toEqual([positive, report.total - Math.floor(0.25 * report.total) - positive]);
  });

  it("names the layers that end up empty", async () => {
    const favourite: Pruner = {
      name: "favourite",
      needsData: false,
      score: ({ network }) =>
        new Map(
          [...network.prunable()].map(([name, { weight }]) => [
            name,
            name === "conv1.weight" ? weight.detach().abs().mul(0) : weight.detach().abs(),
          ]),
        ),
    };
    const report = await prune(tinyNetwork(), { ...base, pruner: favourite, density: 0.5, iterations: 1 });
    expect(report.emptied).toEqual(["conv1.weight"]);
  });

  it("refuses a pruning that leaves nothing, with what to change", async () => {
    const network = tinyNetwork();
    for (const { weight } of network.prunable().values()) weight.detach().fill_(1);
    const pruning = prune(network, { ...base, pruner: magnitude, density: 0.5, iterations: 1 });
    await expect(pruning).rejects.toThrow(UserError);
    await expect(pruning).rejects.toThrow("all scores are equal");
  });
});
