import { shuffledMask } from "@peekaboo/seed";
import { Tensor, UserError } from "@peekaboo/torch";
import { afterEach, describe, expect, it } from "vitest";
import { Network } from "../models/network.js";
import { erdosRenyiKernelCounts } from "./erdos-renyi.js";
import { prune } from "./loop.js";
import type { Pruner } from "./pruner.js";
import * as all from "./pruners/all.js";
import { magnitude } from "./pruners/magnitude.js";
import { random } from "./pruners/random.js";
import { synFlow } from "./pruners/synflow.js";
import { keptOf } from "./selection.js";

const pruners: readonly Pruner[] = Object.values(all);
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

  describe.each(pruners)("with a minimum of each layer, $name", (pruner) => {
    const batch = () => [
      {
        input: Tensor.from(
          Float32Array.from({ length: 8 * 3 * 32 * 32 }, (_, i) => Math.sin(i * i)),
          { shape: [8, 3, 32, 32] },
        ),
        target: Tensor.from(BigInt64Array.from({ length: 8 }, (_, i) => BigInt(i))),
      },
    ];
    const scopes = (["global", "local", "erk"] as const).filter((how) => how === (pruner.always?.scope ?? how));

    it.each(scopes)("keeps it in each, and the whole's density, with %s scope", async (how) => {
      const network = tinyNetwork();
      const options = { ...base, scope: how, pruner, iterations: 3, batches: batch, seed: 3 };
      const first = await prune(network, { ...options, density: 0.3, minKept: { fraction: 0.05 } });
      const expected = (density: number) =>
        how === "local"
          ? first.layers.reduce((sum, { total }) => sum + keptOf(density, total), 0)
          : keptOf(density, first.total);
      expect(first.kept + first.tied).toBe(expected(0.3));
      for (const { kept, total } of first.layers) expect(kept).toBeGreaterThanOrEqual(Math.ceil(0.05 * total));
      const masks = new Map([...network.masks()].map(([name, mask]) => [name, mask.toFloat32Array()]));
      // A later shot, with which small layers would be empty.
      const report = await prune(network, { ...options, density: 0.06, minKept: { fraction: 0.05 } });
      expect(report.kept + report.tied).toBe(expected(0.06));
      for (const { kept, total } of report.layers) expect(kept).toBeGreaterThanOrEqual(Math.ceil(0.05 * total));
      if (pruner !== synFlow && pruner !== magnitude && pruner !== random) return;
      for (const [name, mask] of network.masks()) {
        mask.toFloat32Array().forEach((bit, i) => {
          expect(bit).toBeLessThanOrEqual(masks.get(name)?.[i] ?? 0);
        });
      }
    });

    it("keeps with erk scope what the layers' shapes say", async () => {
      const network = tinyNetwork();
      const options = { ...base, scope: "erk", pruner, density: 0.4, iterations: 3, batches: batch } as const;
      const { kept, total, tied, layers } = await prune(network, options);
      const shapes = [...network.prunable().values()].map(({ weight }) => weight.shape);
      const counts = erdosRenyiKernelCounts(shapes, keptOf(0.4, total));
      expect(kept + tied).toBe(keptOf(0.4, total));
      if (tied === 0) expect(layers.map((layer) => layer.kept)).toEqual(counts);
      // Eight images leave much of GraSP's score zero, and what equals the threshold goes.
      else expect(pruner.name).toBe("GraSP");
      for (const [i, layer] of layers.entries()) expect(layer.kept).toBeLessThanOrEqual(counts[i] ?? 0);
    });
  });

  it("with a minimum below what each layer keeps anyway prunes as without, and with shuffle keeps it too", async () => {
    const [plain, floored, shuffled] = [tinyNetwork(), tinyNetwork(), tinyNetwork()];
    const options = { ...base, pruner: synFlow, density: 0.3, iterations: 4 };
    const { layers } = await prune(plain, options);
    const least = Math.min(...layers.map(({ kept }) => kept));
    await prune(floored, { ...options, minKept: { weights: least } });
    for (const [name, mask] of plain.masks()) expect(floored.masks().get(name)?.toArray()).toEqual(mask.toArray());
    const more = await prune(shuffled, { ...options, minKept: { weights: 2 * least }, shuffle: true });
    for (const { kept } of more.layers) expect(kept).toBeGreaterThanOrEqual(2 * least);
    expect(more.kept).toBe(keptOf(0.3, more.total));
  });

  it("refuses minima that don't fit together before it begins", async () => {
    const network = tinyNetwork();
    const pruning = prune(network, {
      ...base,
      pruner: synFlow,
      density: 0.01,
      iterations: 100,
      minKept: { fraction: 0.02 },
    });
    await expect(pruning).rejects.toThrow(UserError);
    await expect(pruning).rejects.toThrow(/`minKept` 2%.*give `density` 0\.0\d+ or more, or `minKept` 0\.\d+% or less/);
    expect(network.masks().size).toBe(0);
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
