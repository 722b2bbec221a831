import { grad, liveTensorCount, ops, scope, Tensor, UserError } from "@peekaboo/torch";
import { afterEach, describe, expect, it } from "vitest";
import type { Batch } from "../../data/batch.js";
import { MaskedConv2d } from "../../layers/masked-conv2d.js";
import { Network } from "../../models/network.js";
import { prune } from "../loop.js";
import type { Pruner } from "../pruner.js";
import { batchLoss, sumOverBatches } from "./gradients.js";
import { grasp } from "./grasp.js";
import { snip } from "./snip.js";

const networks: Pick<Network, "dispose">[] = [];
afterEach(() => {
  for (const network of networks.splice(0)) network.dispose();
});

/** Two logits, linear in the two channels of one pixel: z = W·x, W = [[w0, w1], [w2, w3]]. */
function linear(weights: readonly number[]): { network: Network; layer: MaskedConv2d } {
  const layer = new MaskedConv2d({ inChannels: 2, outChannels: 2, kernelSize: 1, bias: false });
  layer
    .to({ dtype: "float64" })
    .weight.detach()
    .copy_(Tensor.of(weights, { dtype: "float64" }).view(2, 2, 1, 1));
  const parts = {
    module: layer,
    call: (input: Tensor) => layer.call(input).flatten(1),
    prunable: () => new Map([["w", layer]]),
    dispose: () => layer.dispose(),
  };
  networks.push(parts);
  return { network: parts as unknown as Network, layer };
}

/** One image of two values, as the data sets give them: float32. */
const image = (values: readonly [number, number], label: number): Batch => ({
  input: Tensor.of([...values], { dtype: "float32" }).view(1, 2, 1, 1),
  target: Tensor.from(BigInt64Array.of(BigInt(label))),
});

function scoresOf(pruner: Pruner, network: Network, batches: readonly Batch[]): number[][] {
  return scope(() => {
    const scores = pruner.score({ network, imageShape: [2, 1, 1], batches, density: 0.5, seed: 0 });
    return [...scores.values()].map((score) => {
      expect(score.dtype).toBe("float64");
      return Array.from(score.toTypedArray(), Number);
    });
  });
}

function expectClose(received: readonly number[] | undefined, expected: readonly number[], digits = 12): void {
  expect(received).toHaveLength(expected.length);
  expected.forEach((value, i) => {
    expect(received?.[i], `element ${i}`).toBeCloseTo(value, digits);
  });
}

describe("SNIP", () => {
  it("is |w·∂L/∂w| over its sum: worked by hand for four weights", () => {
    // z = (3, 3), p = (½, ½); ∂L/∂W = (p - y)·xᵀ = [[-½, -1], [½, 1]].
    const { network } = linear([-1, 2, 1, 1]);
    expectClose(scoresOf(snip, network, [image([1, 2], 0)])[0], [1 / 8, 1 / 2, 1 / 8, 1 / 4]);
  });

  it("sums the batches' gradients before it takes the absolute value", () => {
    // The second image has z = (0, 3): p = (q, 1 - q), and its gradient has the other sign for class 1.
    const { network } = linear([-1, 2, 1, 1]);
    const q = 1 / (1 + Math.exp(3));
    const sums = [-0.5 + 2 * q, -1 + q, 0.5 - 2 * q, 1 - q];
    const sizes = [-1, 2, 1, 1].map((w, i) => Math.abs(w * (sums[i] ?? 0)));
    const total = sizes.reduce((a, b) => a + b);
    const scores = scoresOf(snip, network, [image([1, 2], 0), image([2, 1], 1)]);
    expectClose(
      scores[0],
      sizes.map((size) => size / total),
    );
  });

  it("differentiates by the mask, so that a removed weight has a score, and puts the mask back", () => {
    const { network, layer } = linear([-1, 2, 1, 1]);
    layer.setMask(Tensor.from(Uint8Array.of(1, 0, 1, 1)).view(2, 2, 1, 1));
    // z = (-1, 3): p = (q, 1 - q), ∂L/∂mask = w·(p - y)·xᵀ = (1 - q)·[1, -4, 1, 2].
    expectClose(scoresOf(snip, network, [image([1, 2], 0)])[0], [1 / 8, 4 / 8, 1 / 8, 2 / 8]);
    expect(layer.mask?.dtype).toBe("uint8");
    expect(layer.mask?.flatten().toArray()).toEqual([1, 0, 1, 1]);
    expect(layer.mask?.requiresGrad).toBe(false);
  });

  it("puts the mask back when a batch fails", () => {
    const { network, layer } = linear([-1, 2, 1, 1]);
    layer.setMask(Tensor.from(Uint8Array.of(1, 0, 1, 1)).view(2, 2, 1, 1));
    const misfit = { ...image([1, 2], 0), target: Tensor.from(BigInt64Array.of(0n, 1n)) };
    expect(() => scoresOf(snip, network, [misfit])).toThrow();
    expect(layer.mask?.dtype).toBe("uint8");
  });
});

describe("GraSP", () => {
  it("is w·Hg over |its sum|, logits divided by 200: worked by hand for four weights", () => {
    // z / 200 = (ln 3, 0), p = (¾, ¼); p - y = ¾·(1, -1); Hg = |x|²/T³·(diag p - p·pᵀ)(p - y)·xᵀ = c·[[1, 2], [-1, -2]].
    const big = 100 * Math.log(3);
    const { network } = linear([big, big / 2, -2, 1]);
    const c = (5 * (3 / 16) * 1.5) / 200 ** 3;
    const norm = 2 * big * c + 1e-10;
    const scores = scoresOf(grasp, network, [image([1, 2], 1)]);
    expectClose(
      scores[0],
      [big, big, 2, -2].map((value) => (value * c) / norm),
    );
  });

  it("equals the difference of two gradients in the direction of the gradient, batch by batch", () => {
    const network = smallNetwork();
    network.module.to({ dtype: "float64" }).eval();
    const weights = [...network.prunable().values()].map(({ weight }) => weight);
    const batches = randomBatches([3, 2, 1]);
    const gradient = () =>
      sumOverBatches(batches, (batch) => grad([batchLoss(network, batch, 200)], weights)).map((tensor) =>
        tensor.detach(),
      );
    const before = weights.map((weight) => weight.detach().clone());
    const direction = gradient();
    const shifted = (by: number) => {
      weights.forEach((weight, i) => {
        weight.detach().copy_((before[i] as Tensor).add((direction[i] as Tensor).mul(by)));
      });
      return gradient();
    };
    // So small that no ReLU switches between the two.
    const step = 1e-6;
    const [up, down] = [shifted(step), shifted(-step)];
    shifted(0);
    const expected = weights.map((weight, i) =>
      (up[i] as Tensor)
        .sub(down[i] as Tensor)
        .div(2 * step)
        .mul(weight.detach()),
    );
    const norm = Math.abs(expected.reduce((sum, tensor) => sum + tensor.sum().item(), 0)) + 1e-10;
    const scores = scoresOf(grasp, network, batches);
    const largest = Math.max(...scores.flat().map(Math.abs));
    expected.forEach((tensor, i) => {
      const values = Array.from(tensor.div(norm).toTypedArray(), Number);
      expectClose(
        scores[i]?.map((value) => value / largest),
        values.map((value) => value / largest),
        6,
      );
    });
  });

  it("gives a removed weight the score 0", () => {
    const { network, layer } = linear([100, 50, -2, 1]);
    layer.setMask(Tensor.from(Uint8Array.of(1, 0, 1, 1)).view(2, 2, 1, 1));
    const [scores] = scoresOf(grasp, network, [image([1, 2], 1)]);
    expect(scores?.map((score) => score === 0)).toEqual([false, true, false, false]);
  });
});

function smallNetwork(): Network {
  const network = new Network({ arch: "ResNet20", numClasses: 10, width: 0.25 });
  network.initialise("kaiming_normal", 3);
  networks.push(network);
  return network;
}

/** Float32 batches of 8×8 images, in channels-last memory as the training's are. */
function randomBatches(sizes: readonly number[]): Batch[] {
  let state = 7;
  const draw = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  return sizes.map((n) => {
    const values = Float32Array.from({ length: n * 3 * 64 }, () => 4 * draw() - 2);
    return {
      input: ops.contiguous(Tensor.from(values, { shape: [n, 3, 8, 8] }), { memoryFormat: "channelsLast" }),
      target: Tensor.from(BigInt64Array.from({ length: n }, () => BigInt(Math.floor(10 * draw())))),
    };
  });
}

describe.each([snip, grasp])("$name in the pruning loop", (pruner) => {
  const options = { pruner, density: 0.3, schedule: "exponential", scope: "global", imageShape: [3, 8, 8] } as const;

  it("cuts a network to the density, whatever the batch size", async () => {
    const [whole] = randomBatches([4]);
    const halves = [0, 2].map((start) => ({
      input: (whole as Batch).input.narrow(0, start, 2),
      target: (whole as Batch).target.narrow(0, start, 2),
    }));
    const [one, two] = [smallNetwork(), smallNetwork()];
    const report = await prune(one, { ...options, iterations: 1, batches: () => [whole as Batch] });
    await prune(two, { ...options, iterations: 1, batches: () => halves });
    expect(report.kept).toBe(report.total - Math.floor(0.7 * report.total));
    expect(report.tied).toBe(0);
    for (const [name, mask] of one.masks()) expect(two.masks().get(name)?.toArray()).toEqual(mask.toArray());
  });

  it("frees all it made, and holds one batch's intermediates at a time", async () => {
    const network = smallNetwork();
    const batches = randomBatches([2, 2, 2, 2]);
    await prune(network, { ...options, iterations: 1, batches: () => batches });
    const before = liveTensorCount();
    await prune(network, { ...options, iterations: 2, batches: () => batches });
    expect(liveTensorCount()).toBe(before);
    const counts: number[] = [];
    scope(() =>
      sumOverBatches(batches, () => {
        counts.push(liveTensorCount());
        return [ops.ones([2, 2]).add(1)];
      }),
    );
    // From the second batch on there is the sum, and nothing else.
    expect(counts.map((count) => count - (counts[0] ?? 0))).toEqual([0, 1, 1, 1]);
  });

  it("refuses to run without images", async () => {
    await expect(prune(smallNetwork(), { ...options, iterations: 1 })).rejects.toThrow("expected images");
  });

  it("tells of gradients that are not numbers", async () => {
    const [batch] = randomBatches([2]) as [Batch];
    batch.input.fill_(Number.NaN);
    const pruning = prune(smallNetwork(), { ...options, iterations: 1, batches: () => [batch] });
    await expect(pruning).rejects.toThrow(UserError);
  });
});
