import { liveTensorCount, noGrad, scope, Tensor } from "@peekaboo/torch";
import { expect, it } from "vitest";
import type { BatchSource } from "../data/batch-source.js";
import { epochOrder } from "../data/order.js";
import { Network } from "../models/network.js";
import { withEstimatedStatistics } from "./batchnorm-statistics.js";
import { alone } from "./ranks.js";

const SIDE = 8;
const PIXELS = 3 * SIDE * SIDE;
const COUNT = 10;

/** Images that follow from their number. */
const source: BatchSource = {
  count: COUNT,
  imageShape: [3, SIDE, SIDE],
  async *training(order, size) {
    for (let i = 0; i < order.length; i += size) yield batchOf(order.subarray(i, i + size));
  },
  plain: () => {
    throw new Error("no test");
  },
  dispose() {},
};

function batchOf(images: Int32Array) {
  const pixels = Float32Array.from({ length: images.length * PIXELS }, (_, i) =>
    Math.sin(1 + (images[Math.floor(i / PIXELS)] ?? 0) * 7 + i * 0.3),
  );
  const input = Tensor.from(pixels, { shape: [images.length, 3, SIDE, SIDE] });
  return { input, target: Tensor.from(BigInt64Array.from(images, (n) => BigInt(n % 10))) };
}

const network = new Network({ arch: "ResNet20", numClasses: 10, width: 0.25, imageShape: [3, SIDE, SIDE] });
network.initialise("kaiming_normal", 1);
network.module.train();

/** What the network holds, by name. */
const held = () => [...network.module.stateDict()].map(([name, tensor]) => [name, [...tensor.toFloat32Array()]]);
const statistics = () => new Map(held().filter(([name]) => /running/.test(String(name))) as [string, number[]][]);

const parts = (bnBatches: number) => ({
  ...{ network, train: source, batchShare: 4, ranks: alone, reporter: {}, state: { epoch: 3, step: 9 } },
  config: { bnBatches, seed: 5, dropout: 0 },
  guard: { signal: new AbortController().signal, pending: async () => undefined, check: async () => {} },
});

/** Mean and variance (of n - 1) of each channel of the first convolution's output on a batch. */
function byHand(images: Int32Array): { mean: number; variance: number }[] {
  return scope(() => {
    const { input } = batchOf(images);
    const output = noGrad(() => network.prunable().get("conv1.weight")?.call(input));
    if (output === undefined) throw new Error("no conv1");
    const [, channels = 0] = output.shape;
    const values = [...output.toFloat32Array()];
    return Array.from({ length: channels }, (_, channel) => {
      const own = values.filter((_, i) => Math.floor(i / SIDE ** 2) % channels === channel);
      const mean = own.reduce((sum, value) => sum + value, 0) / own.length;
      return { mean, variance: own.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (own.length - 1) };
    });
  });
}

it.each([
  ["fewer batches than the epoch has", 2, 2],
  ["more, of which the last is smaller", 7, 3],
])("statistics are the means of the batches' own, with %s", async (_, asked, batches) => {
  const order = epochOrder(5, 3, COUNT);
  const each = Array.from({ length: batches }, (_, i) => byHand(order.subarray(4 * i, 4 * i + 4)));
  const found = await withEstimatedStatistics(parts(asked), async () => statistics());
  for (const [name, key] of [
    ["bn1.running_mean", "mean"],
    ["bn1.running_var", "variance"],
  ] as const) {
    const values = found.get(name) ?? [];
    expect(values).toHaveLength(4);
    for (const [channel, value] of values.entries()) {
      const wanted = each.reduce((sum, batch) => sum + (batch[channel]?.[key] ?? Number.NaN), 0) / batches;
      expect(value).toBeCloseTo(wanted, 5);
    }
  }
});

it("the network is as before afterwards, also when something fails", async () => {
  const before = { held: held(), tensors: liveTensorCount() };
  const statisticsBefore = statistics();
  await withEstimatedStatistics(parts(2), async () => expect(statistics()).not.toEqual(statisticsBefore));
  const failing = { ...parts(2), guard: { ...parts(2).guard, check: () => Promise.reject(new RangeError("stop")) } };
  await expect(withEstimatedStatistics(failing, async () => {})).rejects.toThrow(RangeError);
  expect(held()).toEqual(before.held);
  expect(network.module.training).toBe(true);
  expect(liveTensorCount()).toBe(before.tensors);
});

it("nothing is estimated where it isn't asked for", async () => {
  const before = statistics();
  expect(await withEstimatedStatistics(parts(0), async () => statistics())).toEqual(before);
});
