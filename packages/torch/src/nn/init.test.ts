import { describe, expect, it } from "vitest";
import { manualSeed } from "../runtime.js";
import { scope } from "../scope.js";
import { type Tensor, zeros } from "../tensor.js";
import * as init from "./init.js";

/** Mean, standard deviation and largest magnitude of what an initialiser fills a [40, 10, 5, 5] weight with. */
function statistics(fill: (weight: Tensor) => Tensor): { mean: number; std: number; most: number } {
  manualSeed(7);
  return scope(() => {
    const weight = zeros([40, 10, 5, 5]).requireGrad();
    expect(fill(weight)).toBe(weight);
    expect([weight.isLeaf, weight.requiresGrad]).toEqual([true, true]);
    const values = weight.detach();
    return { mean: values.mean().item(), std: values.std().item(), most: values.abs().max().item() };
  });
}

// 10,000 values: a standard deviation is known to 0.7 %, here to four times that.
const FAN_IN = 250;
const FAN_OUT = 1000;

describe("an initialiser", () => {
  it.each<[string, (weight: Tensor) => Tensor, number]>([
    ["normal_", (weight) => init.normal_(weight, 0, 3), 3],
    ["kaimingNormal_", (weight) => init.kaimingNormal_(weight), Math.sqrt(2 / FAN_IN)],
    ["kaimingNormal_ of fan out", (weight) => init.kaimingNormal_(weight, { fan: "out" }), Math.sqrt(2 / FAN_OUT)],
    ["kaimingNormal_ of gain 1", (weight) => init.kaimingNormal_(weight, { gain: 1 }), Math.sqrt(1 / FAN_IN)],
    ["xavierNormal_", (weight) => init.xavierNormal_(weight), Math.sqrt(2 / (FAN_IN + FAN_OUT))],
  ])("%s draws from a normal distribution of its scale", (_, fill, std) => {
    const found = statistics(fill);
    expect(found.std / std).toBeGreaterThan(0.97);
    expect(found.std / std).toBeLessThan(1.03);
    expect(Math.abs(found.mean)).toBeLessThan((4 * std) / 100);
    expect(found.most).toBeGreaterThan(3 * std);
  });

  it.each<[string, (weight: Tensor) => Tensor, number]>([
    ["uniform_", (weight) => init.uniform_(weight, -2, 2), 2],
    ["kaimingUniform_", (weight) => init.kaimingUniform_(weight), Math.sqrt(6 / FAN_IN)],
    ["xavierUniform_", (weight) => init.xavierUniform_(weight), Math.sqrt(6 / (FAN_IN + FAN_OUT))],
    [
      "xavierUniform_ of gain 2",
      (weight) => init.xavierUniform_(weight, { gain: 2 }),
      2 * Math.sqrt(6 / (FAN_IN + FAN_OUT)),
    ],
  ])("%s draws evenly up to its bound", (_, fill, bound) => {
    const found = statistics(fill);
    expect(found.most).toBeLessThanOrEqual(bound * (1 + 1e-6));
    expect(found.most).toBeGreaterThan(0.999 * bound);
    expect(found.std / (bound / Math.sqrt(3))).toBeCloseTo(1, 1);
  });

  it("constant_ fills", () => {
    scope(() => expect(init.constant_(zeros([2]), 3).toArray()).toEqual([3, 3]));
  });
});

describe("fans", () => {
  it("counts the inputs and outputs of one unit", () => {
    scope(() => {
      expect(init.fans(zeros([40, 10, 5, 5]))).toEqual({ fanIn: FAN_IN, fanOut: FAN_OUT });
      expect(init.fans(zeros([3, 2]))).toEqual({ fanIn: 2, fanOut: 3 });
      expect(() => init.fans(zeros([3]))).toThrow(
        "initialise a weight: expected two or more dimensions for weight, received [3].",
      );
    });
  });
});
