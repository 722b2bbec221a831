import { openUniform01, RandomStream, shuffledMask } from "@peekaboo/seed";
import { scope } from "@peekaboo/torch";
import { afterEach, describe, expect, it } from "vitest";
import { Network } from "../../models/network.js";
import { erdosRenyiKernelCounts } from "../erdos-renyi.js";
import { prune } from "../loop.js";
import { keptOf } from "../selection.js";
import { erk } from "./erk.js";
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
  it.each([0.9, 0.3, 0.02])(
    "keeps exactly each layer's count at density %d, at the shuffle's positions",
    async (density) => {
      const network = smallNetwork();
      const report = await prune(network, { ...base, pruner: erk, density, iterations: 3 });
      const shapes = [...network.prunable().values()].map(({ weight }) => weight.shape);
      expect(report.kept).toBe(keptOf(density, report.total));
      expect(report.tied).toBe(0);
      const counts = erdosRenyiKernelCounts(shapes, report.kept);
      expect(report.layers.map(({ kept }) => kept)).toEqual(counts);
      // Those that stay whole too.
      expect([...network.masks()].map(([name, mask]) => [name, mask.toTypedArray()])).toEqual(
        [...network.prunable().keys()].map((name, i) => [name, shuffledMask(5, name, shapes[i] ?? [], counts[i] ?? 0)]),
      );
    },
  );

  it("is Rand with erk scope and shuffled masks, whatever the scope and the shuffle that come with it", async () => {
    const [old, spelled] = [smallNetwork(), smallNetwork()];
    const options = { ...base, density: 0.1, iterations: 2, minKept: { fraction: 0.08 } };
    await prune(old, { ...options, pruner: erk, scope: "global", shuffle: false });
    await prune(spelled, { ...options, pruner: random, scope: "erk", shuffle: true });
    expect(masksOf(old)).toEqual(masksOf(spelled));
    await prune(spelled, { ...options, pruner: random, scope: "global", shuffle: true });
    expect(masksOf(old)).not.toEqual(masksOf(spelled));
  });
});
