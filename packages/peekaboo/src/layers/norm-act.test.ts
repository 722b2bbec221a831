import { liveTensorCount, nn, noGrad, ops, scope, Tensor, watchCalls } from "@peekaboo/torch";
import { afterEach, describe, expect, it } from "vitest";
import { NormActSequential, normAct, useOwnNorms } from "./norm-act.js";

afterEach(() => expect(liveTensorCount()).toBe(0));

/** A batch whose channels lie innermost. */
function batch(): Tensor {
  const values = Float32Array.from({ length: 2 * 5 * 4 * 3 }, (_, i) => Math.sin(i));
  return ops.contiguous(Tensor.from(values, { shape: [2, 5, 4, 3] }), { memoryFormat: "channelsLast" });
}

/** The operators that a body calls, without what names their variants. */
function operatorsOf(body: () => void): string[] {
  const names: string[] = [];
  watchCalls((operator) => names.push(operator.replace(/^aten::/, "").replace(/\..*$/, "")), body);
  return names;
}

describe("normAct", () => {
  it("is one operator in training, and else each operation by itself", () => {
    scope(() => {
      const [norm, input, residual] = [new nn.BatchNorm2d(5), batch(), batch()];
      useOwnNorms(norm);
      const call = () => void normAct(norm, input, () => residual);
      expect(operatorsOf(call)).toEqual(["peekaboo::batch_norm_act"]);
      const watched = () => nn.watchOutputs(call, () => {});
      expect(operatorsOf(watched)).toEqual(["peekaboo::batch_norm_act", "add_", "relu_"]);
      norm.eval();
      noGrad(() => expect(operatorsOf(call)).toEqual(["batch_norm", "add_", "relu_"]));
      norm.dispose();
    });
  });

  it("leaves alone a BatchNorm that has a kernel of its own, or none", () => {
    scope(() => {
      const [none, own] = [new nn.BatchNorm2d(5), new nn.BatchNorm2d(5)];
      own.kernel = (_, input) => input.mul(2);
      useOwnNorms(own);
      const input = batch();
      expect(normAct(own, input).toArray()).toEqual(ops.relu(input.mul(2)).toArray());
      expect(operatorsOf(() => void normAct(none, input))).toEqual(["batch_norm", "relu_"]);
      for (const norm of [none, own]) norm.dispose();
    });
  });

  it("has the same digits watched as unwatched, the statistics included", () => {
    scope(() => {
      const norms = [new nn.BatchNorm2d(5), new nn.BatchNorm2d(5)] as const;
      for (const norm of norms) useOwnNorms(norm);
      const [input, residual] = [batch(), batch().mul(-2)];
      const one = normAct(norms[0], input, () => residual);
      const other = nn.watchOutputs(
        () => normAct(norms[1], input, () => residual),
        () => {},
      );
      expect(ops.equal(one, other)).toBe(true);
      const states = norms.map((norm) => [...norm.stateDict()].map(([name, tensor]) => [name, tensor.toArray()]));
      expect(states[0]).toEqual(states[1]);
      for (const norm of norms) norm.dispose();
    });
  });
});

describe("NormActSequential", () => {
  it("computes a ReLU with the BatchNorm before it in training, and names both where outputs are watched", () => {
    scope(() => {
      const layers = () => [new nn.BatchNorm2d(5), new nn.ReLU({ inPlace: true }), new nn.MaxPool2d(2), new nn.ReLU()];
      const [joined, plain] = [new NormActSequential(...layers()), new nn.Sequential(...layers())];
      for (const module of [joined, plain]) useOwnNorms(module);
      const input = batch();
      expect(operatorsOf(() => void joined.call(input))).toEqual(["peekaboo::batch_norm_act", "max_pool2d", "relu"]);
      expect(operatorsOf(() => void plain.call(input))).toEqual([
        "peekaboo::batch_norm_act",
        "relu_",
        "max_pool2d",
        "relu",
      ]);
      expect(ops.equal(joined.call(input), plain.call(input))).toBe(true);
      const seen: nn.Module[] = [];
      nn.watchOutputs(
        () => joined.call(input),
        (module) => seen.push(module),
      );
      expect(seen.map((module) => module.constructor.name)).toEqual([
        "BatchNorm2d",
        "ReLU",
        "MaxPool2d",
        "ReLU",
        "NormActSequential",
      ]);
      for (const module of [joined, plain]) module.dispose();
    });
  });
});
