import { UserError } from "@peekaboo/files/errors";
import { describe, expect, it } from "vitest";
import { grad, noGrad } from "./autograd.js";
import { TorchError } from "./errors.js";
import * as ops from "./generated/ops.js";
import { liveTensorCount, scope } from "./scope.js";
import { ones, Tensor } from "./tensor.js";

/** A test whose tensors are freed. */
function test(name: string, body: () => void): void {
  it(name, () => scope(body));
}

const leaf = (...values: number[]) => Tensor.of(values, { dtype: "float64" }).requireGrad();

describe("backward", () => {
  test("adds to the grad of every leaf", () => {
    const x = leaf(1, 2, 3);
    const y = leaf(4, 5, 6);
    x.mul(y).sum().backward();
    expect([x.grad?.toArray(), y.grad?.toArray()]).toEqual([
      [4, 5, 6],
      [1, 2, 3],
    ]);
    x.square().sum().backward();
    expect(x.grad?.toArray()).toEqual([6, 9, 12]);
  });

  test("goes through a convolution: each gradient is the other factor", () => {
    const factor = (...values: number[]) => Tensor.of(values).view(1, 1, 2, 2).detach().requireGrad();
    const [input, weight] = [factor(1, 2, 3, 4), factor(10, 20, 30, 40)];
    ops.conv2d(input, weight).sum().backward();
    expect(input.grad?.toFloat32Array()).toEqual(Float32Array.of(10, 20, 30, 40));
    expect(weight.grad?.toFloat32Array()).toEqual(Float32Array.of(1, 2, 3, 4));
  });

  test("starts from a gradient that is given", () => {
    const x = leaf(1, 2);
    x.mul(3).backward({ gradient: Tensor.of([1, 10], { dtype: "float64" }) });
    expect(x.grad?.toArray()).toEqual([3, 30]);
  });

  test("goes through in-place operations on what was computed", () => {
    const x = leaf(1, 2);
    const y = x.mul(2);
    y.add_(1).mul_(Tensor.of([3, 5], { dtype: "float64" }));
    y.sum().backward();
    expect(x.grad?.toArray()).toEqual([6, 10]);
  });

  test("goes through writes to a view of what was computed", () => {
    const x = leaf(1, 2, 3);
    const y = x.mul(1);
    y.narrow(0, 1, 2).mul_(10);
    y.sum().backward();
    expect(x.grad?.toArray()).toEqual([1, 10, 10]);
  });

  test("refuses a value that was overwritten after it was needed", () => {
    const x = leaf(1, 2);
    const y = x.exp();
    y.add_(1);
    expect(() => y.sum().backward()).toThrow(
      /^backward: one of the variables needed .* modified by an inplace operation/,
    );
  });

  test("refuses a second pass, unless the graph is retained", () => {
    const x = leaf(3);
    const y = x.square().sum();
    y.backward({ retainGraph: true });
    y.backward();
    expect(x.grad?.item()).toBe(12);
    expect(() => y.backward()).toThrow("backward: Trying to backward through the graph a second time");
  });

  test("refuses several elements without a gradient, and tensors without a history", () => {
    expect(() => leaf(1, 2).mul(2).backward()).toThrow("grad can be implicitly created only for scalar outputs");
    expect(() => ones([1]).backward()).toThrow(TorchError);
    const wrong = ones([3]);
    expect(() => leaf(1, 2).mul(2).backward({ gradient: wrong })).toThrow(TorchError);
  });

  test("frees its graph with the tensors that hold it", () => {
    const x = leaf(1);
    const before = liveTensorCount();
    scope(() => x.exp().sum().backward());
    x.grad = null;
    expect(liveTensorCount()).toBe(before);
  });
});

describe("a leaf", () => {
  test("in place asks for noGrad", () => {
    const x = leaf(1, 2);
    expect(() => x.add_(1)).toThrow("a leaf Variable that requires grad is being used in an in-place operation");
    noGrad(() => x.add_(1));
    expect(x.toArray()).toEqual([2, 3]);
    expect([x.isLeaf, x.requiresGrad, x.mul(2).isLeaf]).toEqual([true, true, false]);
  });

  test("must be floating-point", () => {
    expect(() => Tensor.of([1], { dtype: "int64" }).requireGrad()).toThrow(
      /^setRequiresGrad: Only Tensors of floating/,
    );
    expect(leaf(1).requireGrad(false).requiresGrad).toBe(false);
    expect(() => leaf(1).mul(2).requireGrad(false)).toThrow(
      "you can only change requires_grad flags of leaf variables",
    );
  });
});

describe("grad, the property,", () => {
  test("is null before backward, and for what is no leaf", () => {
    const x = leaf(1);
    const y = x.mul(2);
    y.sum().backward();
    expect([leaf(1).grad, y.grad]).toEqual([null, null]);
  });

  test("can be set to a fitting tensor, and to null", () => {
    const x = leaf(1, 2);
    x.grad = Tensor.of([3, 4], { dtype: "float64" });
    expect(x.grad?.toArray()).toEqual([3, 4]);
    x.grad = null;
    expect(x.grad).toBeNull();
  });

  test("refuses another shape or dtype, and the tensor itself", () => {
    const x = leaf(1, 2);
    const set = (gradient: Tensor) => () => {
      x.grad = gradient;
    };
    const fit = "setGrad: expected a gradient of the tensor's shape, dtype and device for 'gradient', received";
    expect(set(ones([3], { dtype: "float64" }))).toThrow(`${fit} float64[3]`);
    expect(set(ones([2]))).toThrow(`${fit} float32[2]`);
    expect(set(x)).toThrow("expected another tensor than the one it is for");
  });
});

describe("grad, the function,", () => {
  test("gives derivatives and leaves every .grad alone", () => {
    const [x, y] = [leaf(2), leaf(5)];
    const [dx, dy] = grad([x.mul(y)], [x, y]);
    expect([dx?.item(), dy?.item(), x.grad]).toEqual([5, 2, null]);
  });

  test("sums over outputs, weighted by their gradients", () => {
    const x = leaf(1, 2);
    const weights = [Tensor.of([1, 2], { dtype: "float64" }), Tensor.of([10, 20], { dtype: "float64" })];
    const [dx] = grad([x.mul(3), x.square()], [x], { gradients: weights });
    expect(dx?.toArray()).toEqual([3 + 20, 6 + 80]);
    expect(() => grad([x.mul(3), x.mul(2)], [x], { gradients: weights.slice(1) })).toThrow(
      "grad: expected as many gradients as outputs (2) for 'gradients', received [float64[2]]",
    );
  });

  test("differentiates twice and thrice with createGraph", () => {
    const x = leaf(2);
    const [first] = grad([x.pow(4)], [x], { createGraph: true });
    if (first === undefined) throw new Error("no gradient");
    const [second] = grad([first], [x], { createGraph: true });
    if (second === undefined) throw new Error("no gradient");
    const [third] = grad([second], [x]);
    expect([first.item(), second.item(), third?.item()]).toEqual([32, 48, 48]);
  });

  test("makes no graph of the gradients without createGraph", () => {
    const x = leaf(2);
    const [first] = grad([x.pow(3)], [x]);
    expect(first?.requiresGrad).toBe(false);
  });

  test("takes a Hessian-vector product through a convolution", () => {
    // f(w) = sum((x * w)²)/2 with a 1×1 convolution: H·v = v · sum(x²).
    const x = Tensor.of([[[[1, 2]]]], { dtype: "float64" });
    const w = Tensor.of([[[[3]]]], { dtype: "float64" }).requireGrad();
    const [dw] = grad([ops.conv2d(x, w).square().sum().mul(0.5)], [w], { createGraph: true });
    if (dw === undefined) throw new Error("no gradient");
    const [product] = grad([dw.mul(7).sum()], [w]);
    expect([dw.item(), product?.item()]).toEqual([15, 35]);
  });

  test("gives null for what was not used only when that is allowed", () => {
    const [x, y] = [leaf(1), leaf(1)];
    const [dx, dy] = grad([x.mul(2)], [x, y], { allowUnused: true });
    expect([dx?.item(), dy]).toEqual([2, null]);
    expect(() => grad([x.mul(2)], [x, y])).toThrow("to not have been used in the graph");
  });
});

describe("noGrad", () => {
  test("records nothing inside, also nested, and again outside", () => {
    const x = leaf(1);
    noGrad(() => {
      noGrad(() => expect(x.mul(2).requiresGrad).toBe(false));
      expect(x.mul(2).requiresGrad).toBe(false);
    });
    expect(x.mul(2).requiresGrad).toBe(true);
  });

  test("is over after a throw", () => {
    const x = leaf(1);
    const mine = new Error("mine");
    const throwing = () =>
      noGrad(() => {
        throw mine;
      });
    expect(throwing).toThrow(mine);
    expect(() => noGrad(() => x.add(ones([2, 2]).view(3)))).toThrow(TorchError);
    expect(x.mul(2).requiresGrad).toBe(true);
  });

  test("refuses a promise, whose body would run with gradients again", () => {
    expect(() => noGrad(async () => 1)).toThrow(UserError);
    expect(leaf(1).mul(2).requiresGrad).toBe(true);
  });
});
