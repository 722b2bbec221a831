import { describe, expect, it } from "vitest";
import { grad, noGrad } from "./autograd.js";
import { TorchError } from "./errors.js";
import * as ops from "./generated/ops.js";
import { scope } from "./scope.js";
import { Tensor } from "./tensor.js";

describe("backward", () => {
  it("adds the derivative to each leaf's grad", () => {
    const x = Tensor.of([2, 3]).requireGrad();
    x.mul(x).sum().backward();
    expect(x.grad?.toArray()).toEqual([4, 6]);
    x.mul(x).sum().backward();
    expect(x.grad?.toArray()).toEqual([8, 12]);
    x.grad = null;
    expect(x.grad).toBeNull();
  });

  it("refuses an output of several elements without a gradient, and takes one", () => {
    const x = Tensor.of([2, 3]).requireGrad();
    expect(() => x.mul(2).backward()).toThrow(TorchError);
    x.mul(2).backward({ gradient: Tensor.of([1, 10]) });
    expect(x.grad?.toArray()).toEqual([2, 20]);
  });
});

describe("grad", () => {
  it("differentiates twice with createGraph: (x³)'' = 6x", () => {
    const x = Tensor.of([2, 3]).requireGrad();
    const [first] = grad([ops.pow(x, 3).sum()], [x], { createGraph: true });
    expect(first?.toArray()).toEqual([12, 27]);
    const [second] = grad([(first as Tensor).sum()], [x]);
    expect(second?.toArray()).toEqual([12, 18]);
    expect(x.grad).toBeNull();
  });

  it("gives null for an input that plays no part, if allowed", () => {
    const [x, y] = [Tensor.of([1]).requireGrad(), Tensor.of([1]).requireGrad()];
    expect(() => grad([x.mul(2).sum()], [y])).toThrow(TorchError);
    expect(grad([x.mul(2).sum()], [x, y], { allowUnused: true })[1]).toBeNull();
  });

  it("differentiates a convolution by its definition", () => {
    const input = Tensor.of([
      [
        [
          [1, 2],
          [3, 4],
        ],
      ],
    ]).requireGrad();
    const weight = Tensor.of([
      [
        [
          [10, 20],
          [30, 40],
        ],
      ],
    ]).requireGrad();
    const [byInput, byWeight] = grad([ops.conv2d(input, weight).sum()], [input, weight]);
    expect(byInput?.toArray()).toEqual([
      [
        [
          [10, 20],
          [30, 40],
        ],
      ],
    ]);
    expect(byWeight?.toArray()).toEqual([
      [
        [
          [1, 2],
          [3, 4],
        ],
      ],
    ]);
  });
});

describe("noGrad", () => {
  it("records nothing inside, and records again after an error", () => {
    const x = Tensor.of([1]).requireGrad();
    expect(noGrad(() => x.mul(2)).requiresGrad).toBe(false);
    expect(() =>
      noGrad(() => {
        throw new Error("inside");
      }),
    ).toThrow("inside");
    expect(scope(() => x.mul(2).requiresGrad)).toBe(true);
  });
});
