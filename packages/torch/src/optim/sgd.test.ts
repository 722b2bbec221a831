import { UserError } from "@peekaboo/files/errors";
import { describe, expect, it } from "vitest";
import { liveTensorCount, scope } from "../scope.js";
import { Tensor } from "../tensor.js";
import { SGD, type SgdOptions } from "./sgd.js";

/** The weight after each step from 1 with these gradients. */
function path(options: SgdOptions, gradients: readonly (number | null)[]): number[] {
  return scope(() => {
    const weight = Tensor.of([1], { dtype: "float64" }).requireGrad();
    const sgd = new SGD([["w", weight]], options);
    const values = gradients.map((gradient) => {
      weight.grad = gradient === null ? null : Tensor.of([gradient], { dtype: "float64" });
      sgd.step();
      return weight.item();
    });
    sgd.dispose();
    return values;
  });
}

function expectPath(options: SgdOptions, gradients: readonly (number | null)[], expected: readonly number[]): void {
  for (const [i, value] of path(options, gradients).entries()) expect(value).toBeCloseTo(expected[i] ?? 0, 12);
}

describe("SGD", () => {
  it("goes against the gradient", () => {
    expectPath({ lr: 0.1 }, [0.5, -1], [0.95, 1.05]);
  });

  it("adds the L2 penalty to the gradient: w - lr·(g + λw)", () => {
    expectPath({ lr: 0.1, weightDecay: 0.01 }, [0.5, 0.5], [0.949, 0.898051]);
  });

  it("keeps a momentum that starts as the first gradient, not damped", () => {
    // v: 0.5, 0.95, 0.855
    expectPath({ lr: 0.1, momentum: 0.9 }, [0.5, 0.5, 0], [0.95, 0.855, 0.7695]);
  });

  it("puts the penalty into the momentum", () => {
    // g: 0.51, 0.50949; v: 0.51, 0.96849
    expectPath({ lr: 0.1, momentum: 0.9, weightDecay: 0.01 }, [0.5, 0.5], [0.949, 0.852151]);
  });

  it("looks ahead with Nesterov: w - lr·(g + μv)", () => {
    // g: 0.51, 0.509031; v: 0.51, 0.968031; g + μv: 0.969, 1.3802589
    const options = { lr: 0.1, momentum: 0.9, weightDecay: 0.01, nesterov: true };
    expectPath(options, [0.5, 0.5], [0.9031, 0.76507411]);
  });

  it("leaves a parameter without a gradient alone, momentum and all", () => {
    expectPath({ lr: 0.1, momentum: 0.9 }, [0.5, null, 0], [0.95, 0.95, 0.905]);
  });

  it("takes the learning rate of the moment", () => {
    scope(() => {
      const weight = Tensor.of([1], { dtype: "float64" }).requireGrad();
      const sgd = new SGD([["w", weight]], { lr: 0.1 });
      weight.grad = Tensor.of([1], { dtype: "float64" });
      sgd.lr = 0.5;
      sgd.step();
      expect(weight.item()).toBe(0.5);
    });
  });

  it("keeps one tensor a parameter, and frees it", () => {
    scope(() => {
      const weight = Tensor.of([1]).requireGrad();
      const sgd = new SGD([["w", weight]], { lr: 0.1, momentum: 0.9, nesterov: true, weightDecay: 1 });
      weight.grad = Tensor.of([1]);
      const before = liveTensorCount();
      for (let i = 0; i < 3; i++) sgd.step();
      expect(liveTensorCount() - before).toBe(1);
      sgd.dispose();
      expect(liveTensorCount() - before).toBe(0);
    });
  });

  it.each([
    [{ lr: -1 }, "SGD: expected a finite number from 0 for lr, received -1."],
    [{ lr: Number.NaN }, "SGD: expected a finite number from 0 for lr, received NaN."],
    [{ lr: 1, momentum: -0.1 }, "SGD: expected a finite number from 0 for momentum, received -0.1."],
    [{ lr: 1, weightDecay: Number.POSITIVE_INFINITY }, "for weightDecay, received Infinity."],
    [{ lr: 1, nesterov: true }, "SGD: expected one above 0 with nesterov for momentum, received 0."],
  ])("refuses %j", (options, message) => {
    expect(() => new SGD([], options)).toThrow(UserError);
    expect(() => new SGD([], options)).toThrow(message);
  });
});
