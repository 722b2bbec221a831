import { describe, expect, it } from "vitest";
import { scope } from "../scope.js";
import { Tensor } from "../tensor.js";
import { Adam, type AdamOptions } from "./adam.js";

/** The weight after each step from 1 with the gradients 0.5, -0.25, 0.125. */
function path(options: AdamOptions): number[] {
  return scope(() => {
    const weight = Tensor.of([1], { dtype: "float64" }).requireGrad();
    const adam = new Adam([["w", weight]], { lr: 0.1, ...options });
    const values = [0.5, -0.25, 0.125].map((gradient) => {
      weight.grad = Tensor.of([gradient], { dtype: "float64" });
      adam.step();
      return weight.item();
    });
    adam.dispose();
    return values;
  });
}

describe("Adam", () => {
  it.each<[string, AdamOptions, number[]]>([
    // Step 2: m̂ = 0.02/0.19, v̂ = 0.00031225/0.001999, w = 0.900000002 - 0.1·0.105263158/0.395225380.
    ["with bias-corrected moments", {}, [0.900000002, 0.8733662987, 0.8393233849]],
    ["with an L2 penalty in the gradient", { weightDecay: 0.1 }, [0.9000000017, 0.8544413675, 0.8005694721]],
    [
      "with a weight decay of its own (AdamW)",
      { weightDecay: 0.1, decoupledWeightDecay: true },
      [0.890000002, 0.8544662987, 0.8118787219],
    ],
  ])("steps %s", (_, options, expected) => {
    for (const [i, value] of path(options).entries()) expect(value).toBeCloseTo(expected[i] ?? 0, 9);
  });

  it("has PyTorch's defaults", () => {
    const { lr, beta1, beta2, eps, weightDecay } = new Adam([]);
    expect([lr, beta1, beta2, eps, weightDecay]).toEqual([1e-3, 0.9, 0.999, 1e-8, 0]);
  });

  it("counts the steps of each parameter: the first with a gradient is its first", () => {
    scope(() => {
      const [early, late] = [1, 1].map((value) => Tensor.of([value], { dtype: "float64" }).requireGrad());
      if (early === undefined || late === undefined) throw new Error("two tensors");
      const adam = new Adam(Object.entries({ early, late }), { lr: 0.1 });
      const one = () => Tensor.of([1], { dtype: "float64" });
      early.grad = one();
      adam.step();
      late.grad = one();
      adam.step();
      // A bias-corrected first step has the size of the learning rate.
      expect(late.item()).toBeCloseTo(0.9, 7);
      expect(adam.stateDict().numbers).toEqual({ lr: 0.1, "steps.early": 2, "steps.late": 1 });
      adam.dispose();
    });
  });

  it.each([
    [{ beta1: 1 }, "Adam: expected a number from 0 to below 1 for beta1, received 1."],
    [{ beta2: -0.1 }, "Adam: expected a number from 0 to below 1 for beta2, received -0.1."],
    [{ eps: -1 }, "Adam: expected a finite number from 0 for eps, received -1."],
  ])("refuses %j", (options, message) => {
    expect(() => new Adam([], options)).toThrow(message);
  });
});
