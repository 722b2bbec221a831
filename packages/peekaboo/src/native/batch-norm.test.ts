// BatchNorm with what follows it: hand-computed values, and its twin of ATen operations in double precision.

import { numel } from "@peekaboo/files/safetensors";
import { RandomStream } from "@peekaboo/seed";
import { getThreads, grad, liveTensorCount, noGrad, ops, scope, setThreads, Tensor } from "@peekaboo/torch";
import { afterEach, describe, expect, it } from "vitest";
import { pabOps } from "./library.js";

afterEach(() => expect(liveTensorCount()).toBe(0));

const { batchNormAct, batchNormActReference } = pabOps();

/** Seeded values in (-1, 1). */
function random(name: string, shape: readonly number[]): Tensor {
  const words = new Uint32Array(numel(shape));
  new RandomStream(11, name).fillUint32(words);
  const values = Float64Array.from(words, (word) => word / 2 ** 31 - 1);
  return Tensor.from(values, { shape, dtype: "float32" });
}

type Shape = readonly [number, number, number, number];

interface Case {
  relu?: boolean;
  residual?: boolean;
  dtype?: "float32" | "float64";
  layout?: "channelsLast" | "contiguous";
}

/** Values of a shape, and what is computed with them: output, running statistics, gradients of input, weight, bias and residual. */
function run(call: typeof batchNormAct, shape: Shape, how: Case): Tensor[] {
  const { relu = true, residual = false, dtype = "float32", layout = "channelsLast" } = how;
  const [, channels] = shape;
  const laid = (tensor: Tensor) => ops.contiguous(tensor.to({ dtype }), { memoryFormat: layout });
  const own = (name: string) => random(name, [channels]).to({ dtype });
  const input = laid(
    random("input", shape)
      .mul(3)
      .add_(random("offset", [1, channels, 1, 1])),
  ).requireGrad();
  const [weight, bias] = [own("weight").requireGrad(), own("bias").requireGrad()];
  const [mean, variance] = [own("mean"), own("variance").abs()];
  const added = residual ? laid(random("residual", shape)).requireGrad() : null;
  const output = call(input, weight, bias, mean, variance, added, { momentum: 0.1, eps: 1e-5, relu });
  const wanted = [input, weight, bias, ...(added === null ? [] : [added])];
  return [output, mean, variance, ...grad([output], wanted, { gradients: [laid(random("gradient", shape))] })];
}

const cases: Case[] = [{}, { residual: true }, { relu: false }, { relu: false, residual: true }];

function difference(one: Tensor, other: Tensor): number {
  const double = { dtype: "float64" } as const;
  return one.to(double).sub(other.to(double)).abs().max().item();
}

describe("batch_norm_act", () => {
  it("normalises, adds and rectifies: by hand", () => {
    scope(() => {
      // Mean 2.5, variance 1.25 (1.6667 with n - 1).
      const input = ops.contiguous(Tensor.of([[[[1, 2]]], [[[3, 4]]]]), { memoryFormat: "channelsLast" });
      const residual = Tensor.of([[[[5, 0]]], [[[0, -9]]]]);
      const [mean, variance] = [Tensor.of([0]), Tensor.of([1])];
      const how = { momentum: 0.1, eps: 0, relu: true };
      const output = batchNormAct(input, Tensor.of([2]), Tensor.of([1]), mean, variance, residual, how);
      const expected = [6 - 3 / Math.sqrt(1.25), 1 - 1 / Math.sqrt(1.25), 1 + 1 / Math.sqrt(1.25), 0];
      for (const [i, value] of output.toFloat32Array().entries())
        expect(value).toBeCloseTo(expected[i] ?? Number.NaN, 6);
      expect(mean.item()).toBeCloseTo(0.25, 7);
      expect(variance.item()).toBeCloseTo(0.9 + 0.1 * (5 / 3), 6);
    });
  });

  it.each<[string, Shape]>([
    ["few channels", [6, 3, 9, 7]],
    ["one channel", [3, 1, 6, 5]],
    ["as many as a row of lanes", [5, 64, 12, 11]],
    ["more than that", [3, 200, 4, 5]],
    ["several blocks", [9, 24, 30, 31]],
    ["one pixel", [7, 6, 1, 1]],
  ])("equals its twin in float64 to some roundings of float32: %s", (_, shape) => {
    for (const how of cases) {
      scope(() => {
        const expected = run(batchNormActReference, shape, { ...how, dtype: "float64" });
        for (const [i, tensor] of run(batchNormAct, shape, how).entries()) {
          const exact = expected[i] as Tensor;
          expect(difference(tensor, exact) / exact.abs().max().item(), `tensor ${i}`).toBeLessThan(5e-7);
        }
      });
    }
  });

  it("has the same digits as without what follows, and that done by ATen", () => {
    const shape: Shape = [4, 24, 13, 12];
    const apart: typeof batchNormAct = (input, weight, bias, mean, variance, residual, { relu, ...how }) => {
      const out = batchNormAct(input, weight, bias, mean, variance, null, { ...how, relu: false });
      if (residual !== null) out.add_(residual);
      return relu ? ops.relu_(out) : out;
    };
    for (const how of cases) {
      scope(() => {
        const expected = run(apart, shape, how);
        for (const [i, tensor] of run(batchNormAct, shape, how).entries())
          expect(ops.equal(tensor, expected[i] as Tensor), `tensor ${i}`).toBe(true);
      });
    }
  });

  it("has the same digits with one thread and with several", () => {
    const before = getThreads();
    try {
      scope(() => {
        const results = [1, 2, 3].map((count) => {
          setThreads(count);
          return run(batchNormAct, [9, 24, 30, 31], { residual: true });
        });
        for (const other of results.slice(1))
          for (const [i, tensor] of other.entries()) expect(ops.equal(tensor, results[0]?.[i] as Tensor)).toBe(true);
      });
    } finally {
      setThreads(before);
    }
  });

  it("keeps its precision where the mean is a thousand times the deviation", () => {
    scope(() => {
      const input = ops.contiguous(random("input", [8, 16, 16, 16]).add_(1000), { memoryFormat: "channelsLast" });
      const variance = ops.zeros([16]);
      batchNormAct(input, ops.ones([16]), ops.zeros([16]), ops.zeros([16]), variance, null, {
        momentum: 1,
        eps: 1e-5,
        relu: true,
      });
      const values = input.to({ dtype: "float64" }).permute(1, 0, 2, 3).flatten(1);
      const centred = values.sub(values.mean([1], true));
      const exact = centred
        .mul(centred)
        .mean([1])
        .mul(2048 / 2047);
      expect(difference(variance, exact)).toBeLessThan(1e-7);
    });
  });

  it("is its twin, digit for digit, where channels don't lie innermost, in float64, and of nothing", () => {
    for (const how of [
      ...cases.map((own) => ({ ...own, layout: "contiguous" as const })),
      { dtype: "float64" as const },
    ]) {
      scope(() => {
        const expected = run(batchNormActReference, [3, 5, 6, 7], how);
        for (const [i, tensor] of run(batchNormAct, [3, 5, 6, 7], how).entries())
          expect(ops.equal(tensor, expected[i] as Tensor)).toBe(true);
      });
    }
    scope(() => expect(run(batchNormAct, [0, 4, 3, 3], {})[0]?.shape).toEqual([0, 4, 3, 3]));
  });

  it("takes a residual and a gradient in any layout", () => {
    scope(() => {
      const how = { momentum: 0.1, eps: 1e-5, relu: true };
      const results = (["channelsLast", "contiguous"] as const).map((memoryFormat) => {
        const input = ops.contiguous(random("input", [3, 8, 5, 4]), { memoryFormat: "channelsLast" }).requireGrad();
        const residual = ops.contiguous(random("residual", [3, 8, 5, 4]), { memoryFormat }).requireGrad();
        const [weight, bias, mean, variance] = [ops.ones([8]), ops.zeros([8]), ops.zeros([8]), ops.ones([8])];
        const output = batchNormAct(input, weight, bias, mean, variance, residual, how);
        const gradient = ops.contiguous(random("gradient", [3, 8, 5, 4]), { memoryFormat });
        return [output, ...grad([output], [input, residual], { gradients: [gradient] })];
      });
      for (const [i, tensor] of results[0]?.entries() ?? [])
        expect(ops.equal(tensor, results[1]?.[i] as Tensor)).toBe(true);
    });
  });

  it("leaves a gradient alone that others see: its giver, another node, a hook's", () => {
    const shape: Shape = [3, 8, 5, 4];
    const laid = (name: string) => ops.contiguous(random(name, shape), { memoryFormat: "channelsLast" });
    for (const { relu = true, residual = false } of cases) {
      scope(() => {
        const [weight, bias] = [random("weight", [8]), random("bias", [8])];
        const normalised = (input: Tensor) => {
          const how = { momentum: 0.1, eps: 1e-5, relu };
          const added = residual ? laid("residual").mul(input) : null;
          return batchNormAct(input, weight, bias, ops.zeros([8]), ops.ones([8]), added, how);
        };
        const [one, other] = [laid("one").requireGrad(), laid("other").requireGrad()];
        const gradient = laid("gradient");
        const apart = [one, other].map((input) => grad([normalised(input)], [input], { gradients: [gradient] })[0]);
        expect(ops.equal(gradient, laid("gradient"))).toBe(true);

        const sum = ops.add(normalised(one), normalised(other));
        const [left, right, ofSum] = grad([sum.mul(1)], [one, other, sum], { gradients: [gradient] });
        expect([left, right].map((own, i) => ops.equal(own as Tensor, apart[i] as Tensor))).toEqual([true, true]);
        expect(ops.equal(ofSum as Tensor, gradient)).toBe(true);

        const output = normalised(one);
        const [ofInput, ofOutput] = grad([output.mul(1)], [one, output], { gradients: [gradient] });
        expect(ops.equal(ofInput as Tensor, apart[0] as Tensor)).toBe(true);
        expect(ops.equal(ofOutput as Tensor, gradient)).toBe(true);
      });
    }
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])(
    "makes NaN of the channel that holds %d, and of no other",
    (value) => {
      scope(() => {
        const source = random("input", [4, 3, 5, 5]);
        source.narrow(1, 1, 1).narrow(0, 2, 1).narrow(2, 3, 1).fill_(value);
        const input = ops.contiguous(source, { memoryFormat: "channelsLast" }).requireGrad();
        const [weight, bias, mean, variance] = [
          ops.ones([3]).requireGrad(),
          ops.zeros([3]),
          ops.zeros([3]),
          ops.ones([3]),
        ];
        const how = { momentum: 0.1, eps: 1e-5, relu: true };
        const output = batchNormAct(input, weight, bias, mean, variance, null, how);
        const gradients = grad([output], [input, weight], { gradients: [random("gradient", [4, 3, 5, 5])] });
        for (const tensor of [output, gradients[0] as Tensor]) {
          const broken = tensor.permute(1, 0, 2, 3).flatten(1).toArray() as number[][];
          expect(broken.map((channel) => channel.every(Number.isNaN))).toEqual([false, true, false]);
          expect(broken.map((channel) => channel.every(Number.isFinite))).toEqual([true, false, true]);
        }
        for (const tensor of [variance, gradients[1] as Tensor])
          expect((tensor.toArray() as number[]).map(Number.isNaN)).toEqual([false, true, false]);
      });
    },
  );

  it("makes NaN of the running variance where a channel has one value, as PyTorch's operator", () => {
    scope(() => {
      const [ours, twins] = [batchNormAct, batchNormActReference].map((call) => run(call, [1, 3, 1, 1], {}));
      expect(ours?.[2]?.toArray()).toEqual([Number.NaN, Number.NaN, Number.NaN]);
      expect(ours?.[2]?.toArray()).toEqual(twins?.[2]?.toArray());
      expect(ours?.[0]?.flatten().toArray()).toEqual(ops.relu(random("bias", [3])).toArray());
    });
  });

  it("gives gradients for what asks for them alone, and refuses to be differentiated twice", () => {
    scope(() => {
      const input = ops.contiguous(random("input", [3, 4, 5, 5]), { memoryFormat: "channelsLast" });
      const [mean, variance] = [ops.zeros([4]), ops.ones([4])];
      const how = { momentum: 0.1, eps: 1e-5, relu: true };
      const bias = ops.zeros([4]).requireGrad();
      const output = batchNormAct(input, ops.ones([4]), bias, mean, variance, null, how);
      ops.sum(output).backward();
      const passing = output.detach().gt(0).to({ dtype: "float32" }).mean([0, 2, 3]).mul(75);
      expect(bias.grad?.toArray()).toEqual(ops.round(passing).toArray());
      expect(noGrad(() => batchNormAct(input, ops.ones([4]), bias, mean, variance, null, how)).requiresGrad).toBe(
        false,
      );
      const twice = batchNormAct(input, ops.ones([4]), bias, mean, variance, null, how);
      expect(() => grad([ops.sum(twice)], [bias], { createGraph: true })).toThrow("can't be differentiated again");
    });
  });

  it("refuses a residual of another shape", () => {
    scope(() => {
      const [input, own] = [ops.zeros([2, 3, 4, 4]), ops.ones([3])];
      const how = { momentum: 0.1, eps: 1e-5, relu: true };
      expect(() => batchNormAct(input, own, own, own.clone(), own.clone(), ops.zeros([1, 3, 4, 4]), how)).toThrow(
        "residual must have the input's shape [2, 3, 4, 4], received [1, 3, 4, 4]",
      );
    });
  });
});
