import { scope } from "@peekaboo/torch";
import { afterEach, describe, expect, it } from "vitest";
import { Network } from "../../models/network.js";
import { openUniform01 } from "../../random/distributions.js";
import { RandomStream } from "../../random/stream.js";
import { prune } from "../loop.js";
import { keptOf } from "../selection.js";
import { shuffledMask } from "../shuffle.js";
import { erdosRenyiKernelCounts, erk } from "./erk.js";
import { random } from "./random.js";

const networks: Network[] = [];
afterEach(() => {
  for (const network of networks.splice(0)) network.dispose();
});

function smallNetwork(initSeed = 1): Network {
  const network = new Network({ arch: "ResNet20", numClasses: 10, width: 0.5 });
  network.initialise("kaiming_normal", initSeed);
  networks.push(network);
  return network;
}

const base = { schedule: "exponential", scope: "global", imageShape: [3, 32, 32], seed: 5 } as const;
const masksOf = (network: Network) => [...network.masks()].map(([name, mask]) => [name, mask.toArray()]);

describe("Rand", () => {
  it("scores by the stream of the seed and the state name", () => {
    const network = smallNetwork();
    scope(() => {
      const scores = random.score({ network, imageShape: [3, 32, 32], batches: [], density: 0.5, seed: 5 });
      const values = scores.get("layer1.0.conv1.weight")?.toTypedArray() ?? [];
      const stream = new RandomStream(5, "prune/random/layer1.0.conv1.weight");
      [0, 1, 100].forEach((i) => {
        expect(values[i]).toBeCloseTo(openUniform01(stream.uint32(2 * i), stream.uint32(2 * i + 1)), 14);
      });
    });
  });

  it("keeps the target exactly and about the same fraction of every layer, whatever the weights", async () => {
    const [network, other] = [smallNetwork(1), smallNetwork(2)];
    const report = await prune(network, { ...base, pruner: random, density: 0.3, iterations: 1 });
    expect(report.kept).toBe(keptOf(0.3, report.total));
    for (const { kept, total } of report.layers) {
      expect(Math.abs(kept / total - 0.3)).toBeLessThan(4 * Math.sqrt(0.21 / total));
    }
    await prune(other, { ...base, pruner: random, density: 0.3, iterations: 6 });
    expect(masksOf(other)).toEqual(masksOf(network));
    await prune(smallNetwork(), { ...base, pruner: random, density: 0.3, iterations: 1, seed: 6 });
    expect(masksOf(networks.at(-1) as Network)).not.toEqual(masksOf(network));
  });
});

describe("ERK", () => {
  it("gives layers counts in proportion to the sum of their dimensions, and no more than they have", () => {
    // Sums 6, 14, 14 of 4, 144, 40 weights. For 60 kept, ε = 60/34 would give the first 10.6: it is dense, 56 are shared.
    const shapes = [
      [2, 2, 1, 1],
      [4, 4, 3, 3],
      [10, 4],
    ];
    expect(erdosRenyiKernelCounts(shapes, 60)).toEqual([4, 28, 28]);
    expect(erdosRenyiKernelCounts(shapes, 61)).toEqual([4, 29, 28]);
    // 40 of the last are not enough then: 4 and 40 dense, the rest in the second.
    expect(erdosRenyiKernelCounts(shapes, 100)).toEqual([4, 56, 40]);
    // 17/34 each: 3, 7, 7.
    expect(erdosRenyiKernelCounts(shapes, 17)).toEqual([3, 7, 7]);
    expect(erdosRenyiKernelCounts(shapes, 188)).toEqual([4, 144, 40]);
    expect(erdosRenyiKernelCounts(shapes, 0)).toEqual([0, 0, 0]);
    expect(() => erdosRenyiKernelCounts(shapes, 189)).toThrow(RangeError);
  });

  it("adds up to the target for every target", () => {
    const shapes = [[16, 3, 3, 3], [16, 16, 3, 3], [7, 16, 1, 1], [5, 7], [1]];
    const total = 16 * 27 + 16 * 144 + 7 * 16 + 35 + 1;
    for (let kept = 0; kept <= total; kept++) {
      const counts = erdosRenyiKernelCounts(shapes, kept);
      expect(counts.reduce((a, b) => a + b)).toBe(kept);
      counts.forEach((count, i) => {
        expect(count).toBeGreaterThanOrEqual(0);
        expect(count).toBeLessThanOrEqual((shapes[i] as number[]).reduce((a, b) => a * b));
      });
    }
  });

  it.each([0.9, 0.3, 0.02])("keeps exactly these counts at density %d, at the shuffle's positions", async (density) => {
    const network = smallNetwork();
    const report = await prune(network, { ...base, pruner: erk, density, iterations: 3 });
    const shapes = [...network.prunable().values()].map(({ weight }) => weight.shape);
    expect(report.kept).toBe(keptOf(density, report.total));
    expect(report.tied).toBe(0);
    expect(report.layers.map(({ kept }) => kept)).toEqual(erdosRenyiKernelCounts(shapes, report.kept));
    for (const [name, mask] of network.masks()) {
      const kept = report.layers.find((layer) => layer.name === name)?.kept ?? 0;
      expect(mask.toTypedArray()).toEqual(shuffledMask(5, name, mask.shape, kept));
    }
  });
});
