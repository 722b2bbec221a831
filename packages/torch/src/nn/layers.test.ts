import { describe, expect, it } from "vitest";
import * as ops from "../generated/ops.js";
import { manualSeed } from "../runtime.js";
import { scope } from "../scope.js";
import { ones, Tensor } from "../tensor.js";
import {
  AdaptiveAvgPool2d,
  AdaptiveMaxPool2d,
  AvgPool2d,
  BatchNorm2d,
  Conv2d,
  type Conv2dOptions,
  Dropout,
  Flatten,
  GELU,
  GroupNorm,
  Linear,
  MaxPool2d,
  ReLU,
  Sequential,
  Sigmoid,
  SiLU,
} from "./layers.js";
import type { Module } from "./module.js";

/** What a module makes of an input. */
function output(module: Module, input: Tensor): unknown {
  return scope(() => {
    const result = module.call(input).toArray();
    module.dispose();
    return result;
  });
}

const image = () =>
  Tensor.of([
    [
      [
        [1, 2, 3],
        [4, 5, 6],
        [7, 8, 9],
      ],
    ],
  ]);

/** One-channel images as their rows. */
const rows = (...values: number[][]) => [[values]];

describe("Conv2d", () => {
  /** A convolution of one channel by a kernel of ones. */
  function summing(options: Omit<Conv2dOptions, "inChannels" | "outChannels">): Conv2d {
    const conv = new Conv2d({ inChannels: 1, outChannels: 1, initialise: false, ...options });
    conv.weight.detach().fill_(1);
    conv.bias?.detach().fill_(0.5);
    return conv;
  }

  it("sums windows, with stride, padding, dilation and bias", () => {
    scope(() => {
      expect(output(summing({ kernelSize: 2 }), image())).toEqual(rows([12.5, 16.5], [24.5, 28.5]));
      expect(output(summing({ kernelSize: 1, stride: 2 }), image())).toEqual(rows([1.5, 3.5], [7.5, 9.5]));
      expect(output(summing({ kernelSize: 3, padding: 1, stride: 2 }), image())).toEqual(
        rows([12.5, 16.5], [24.5, 28.5]),
      );
      expect(output(summing({ kernelSize: 2, dilation: 2 }), image())).toEqual(rows([20.5]));
    });
  });

  it("takes pairs of height and width", () => {
    scope(() => {
      expect(output(summing({ kernelSize: [1, 3] }), image())).toEqual(rows([6.5], [15.5], [24.5]));
      expect(output(summing({ kernelSize: [3, 1], stride: [1, 2] }), image())).toEqual(rows([12.5, 18.5]));
      expect(output(summing({ kernelSize: [2, 1], dilation: [2, 1] }), image())).toEqual(rows([8.5, 10.5, 12.5]));
      expect(output(summing({ kernelSize: [3, 1], padding: [0, 1] }), image())).toEqual(
        rows([0.5, 12.5, 15.5, 18.5, 0.5]),
      );
    });
  });

  it("convolves each group of channels alone, dilated and not square", () => {
    scope(() => {
      const shape = { inChannels: 4, outChannels: 2, groups: 2, kernelSize: [1, 2], dilation: [1, 2] } as const;
      const conv = new Conv2d({ ...shape, initialise: false, bias: false });
      expect(conv.weight.shape).toEqual([2, 2, 1, 2]);
      conv.weight.detach().copy_(
        Tensor.of([
          [[[1, 10]], [[100, 1000]]],
          [[[1, 1]], [[1, 1]]],
        ]),
      );
      const channels = [[[1, 9, 2]], [[3, 9, 4]], [[5, 9, 6]], [[7, 9, 8]]];
      expect(output(conv, Tensor.of([channels]))).toEqual([[[[4321]], [[26]]]]);
    });
  });

  it("has PyTorch's shapes and default initialisation: U(±1/√fanIn)", () => {
    manualSeed(0);
    const conv = new Conv2d({ inChannels: 4, outChannels: 64, kernelSize: 2, groups: 2 });
    expect([conv.weight.shape, conv.bias?.shape]).toEqual([[64, 2, 2, 2], [64]]);
    const values = conv.weight.toFloat32Array();
    const bound = 1 / Math.sqrt(2 * 2 * 2);
    expect(Math.max(...values)).toBeLessThanOrEqual(bound);
    expect(Math.max(...values)).toBeGreaterThan(0.95 * bound);
    expect(Math.min(...values)).toBeLessThan(-0.95 * bound);
    conv.dispose();
    const zero = new Conv2d({ inChannels: 1, outChannels: 1, kernelSize: 1, initialise: false, bias: false });
    expect([zero.weight.item(), zero.bias]).toEqual([0, null]);
    zero.dispose();
  });

  it("refuses groups that do not divide the channels", () => {
    expect(() => new Conv2d({ inChannels: 3, outChannels: 4, kernelSize: 1, groups: 2 })).toThrow(
      "Conv2d: expected a divisor of 3 and 4 channels for groups, received 2.",
    );
  });
});

describe("Linear", () => {
  it("is x·Wᵀ + b", () => {
    scope(() => {
      const linear = new Linear(2, 1, { initialise: false });
      linear.weight.detach().copy_(Tensor.of([[2, 3]]));
      linear.bias?.detach().fill_(1);
      expect(output(linear, Tensor.of([[10, 100]]))).toEqual([[321]]);
      expect(output(new Linear(2, 2, { bias: false, initialise: false }), ones([1, 2]))).toEqual([[0, 0]]);
    });
  });
});

describe("BatchNorm2d", () => {
  // Mean 2.5, variance 1.25 (1.6667 with n - 1).
  const batch = () => Tensor.of([[[[1, 2]]], [[[3, 4]]]]);

  it("normalises by the batch in training, and moves its running statistics by the momentum", () => {
    scope(() => {
      const norm = new BatchNorm2d(1);
      const expected = [-1.5, -0.5, 0.5, 1.5].map((value) => value / Math.sqrt(1.25 + 1e-5));
      for (const [i, value] of norm.call(batch()).toFloat32Array().entries()) {
        expect(value).toBeCloseTo(expected[i] ?? 0, 6);
      }
      const state = norm.stateDict();
      expect(state.get("running_mean")?.item()).toBeCloseTo(0.25, 7);
      expect(state.get("running_var")?.item()).toBeCloseTo(0.9 + 0.1 * (5 / 3), 6);
      norm.call(batch());
      expect(state.get("running_mean")?.item()).toBeCloseTo(0.475, 6);
      norm.dispose();
    });
  });

  it("normalises by the running statistics in evaluation, and leaves them alone", () => {
    scope(() => {
      const norm = new BatchNorm2d(1, { eps: 0, momentum: 1 });
      norm.call(batch());
      norm.eval();
      norm.stateDict().get("weight")?.detach().fill_(2);
      norm.stateDict().get("bias")?.detach().fill_(1);
      const expected = [1, 2, 3, 4].map((value) => 1 + (2 * (value - 2.5)) / Math.sqrt(5 / 3));
      for (const [i, value] of norm.call(batch()).toFloat32Array().entries()) {
        expect(value).toBeCloseTo(expected[i] ?? 0, 5);
      }
      expect(norm.stateDict().get("running_mean")?.item()).toBe(2.5);
      norm.dispose();
    });
  });

  it("normalises in training, and only there, by a kernel that it is given", () => {
    scope(() => {
      const norm = new BatchNorm2d(1);
      norm.kernel = ({ weight, bias, runningMean, runningVar }, input) => {
        expect([weight, bias, runningMean, runningVar].map((tensor) => tensor.item())).toEqual([1, 0, 0, 1]);
        return input.mul(3);
      };
      expect(norm.call(batch()).flatten().toArray()).toEqual([3, 6, 9, 12]);
      norm.eval();
      expect(norm.call(Tensor.of([[[[0]]]])).item()).toBe(0);
      norm.dispose();
    });
  });
});

describe("GroupNorm", () => {
  it("normalises each group of channels, then scales and shifts each channel", () => {
    scope(() => {
      const norm = new GroupNorm(2, 4, { eps: 0 });
      norm
        .stateDict()
        .get("weight")
        ?.detach()
        .copy_(Tensor.of([1, 2, 1, 1]));
      norm
        .stateDict()
        .get("bias")
        ?.detach()
        .copy_(Tensor.of([0, 0, 0, 5]));
      // Means 3 and 30, deviations 2 and 20.
      expect(output(norm, Tensor.of([[[[1]], [[5]], [[10]], [[50]]]]))).toEqual([[[[-1]], [[2]], [[-1]], [[6]]]]);
    });
  });

  it("adds eps to the variance, and treats each image alone, in training as in evaluation", () => {
    scope(() => {
      const norm = new GroupNorm(1, 1, { eps: 3 });
      const images = Tensor.of([[[[0, 2]]], [[[0, 0]]]]);
      expect(norm.call(images).toArray()).toEqual([[[[-0.5, 0.5]]], [[[0, 0]]]]);
      expect(norm.eval().call(images).toArray()).toEqual([[[[-0.5, 0.5]]], [[[0, 0]]]]);
      norm.dispose();
    });
  });

  it("refuses groups that do not divide the channels", () => {
    expect(() => new GroupNorm(3, 4)).toThrow("GroupNorm: expected a divisor of 4 channels for groups, received 3.");
  });
});

describe("the other layers", () => {
  it("pool", () => {
    scope(() => {
      expect(output(new MaxPool2d(2), image())).toEqual(rows([5]));
      expect(output(new MaxPool2d(2, { stride: 1 }), image())).toEqual(rows([5, 6], [8, 9]));
      expect(output(new MaxPool2d(3, { stride: 2, padding: 1 }), image())).toEqual(rows([5, 6], [8, 9]));
      expect(output(new AvgPool2d(2, 1), image())).toEqual(rows([3, 4], [6, 7]));
      expect(output(new AdaptiveAvgPool2d(1), image())).toEqual(rows([5]));
      expect(output(new AdaptiveMaxPool2d(1), image())).toEqual(rows([9]));
    });
  });

  it("pool windows that aren't square", () => {
    scope(() => {
      expect(output(new MaxPool2d([1, 3]), image())).toEqual(rows([3], [6], [9]));
      expect(output(new MaxPool2d([2, 1], { stride: [1, 2], padding: [1, 0] }), image())).toEqual(
        rows([1, 3], [4, 6], [7, 9], [7, 9]),
      );
      expect(output(new MaxPool2d(2, { stride: 1, dilation: [2, 1] }), image())).toEqual(rows([8, 9]));
      expect(output(new AvgPool2d([1, 3]), image())).toEqual(rows([2], [5], [8]));
      expect(output(new AvgPool2d([1, 2], [2, 1], [0, 1]), image())).toEqual(
        rows([0.5, 1.5, 2.5, 1.5], [3.5, 7.5, 8.5, 4.5]),
      );
      expect(output(new AdaptiveAvgPool2d([1, 3]), image())).toEqual(rows([4, 5, 6]));
      expect(output(new AdaptiveMaxPool2d([3, 1]), image())).toEqual(rows([3], [6], [9]));
      // Windows of rows 0 to 1 and 1 to 2.
      expect(output(new AdaptiveMaxPool2d([2, 3]), image())).toEqual(rows([4, 5, 6], [7, 8, 9]));
    });
  });

  it("bend smoothly", () => {
    scope(() => {
      const x = [-3, -0.5, 0, 1, 4];
      const values = Tensor.of(x);
      const normal = [0.0013498980316301, 0.3085375387259869, 0.5, 0.8413447460685429, 0.9999683287581669];
      const close = (module: Module, expected: readonly number[]) => {
        const actual = module.call(values).toFloat32Array();
        for (const [i, value] of expected.entries()) expect(actual[i]).toBeCloseTo(value, 6);
      };
      close(
        new Sigmoid(),
        x.map((value) => 1 / (1 + Math.exp(-value))),
      );
      close(
        new SiLU(),
        x.map((value) => value / (1 + Math.exp(-value))),
      );
      close(
        new GELU(),
        x.map((value, i) => value * (normal[i] ?? 0)),
      );
      const inner = (value: number) => Math.sqrt(2 / Math.PI) * (value + 0.044715 * value ** 3);
      close(
        new GELU({ approximate: "tanh" }),
        x.map((value) => 0.5 * value * (1 + Math.tanh(inner(value)))),
      );
    });
  });

  it("are joined by their channels", () => {
    scope(() => {
      const joined = ops.cat([image(), new AvgPool2d(3, 1, 1).call(image()).mul(0)], 1);
      expect(joined.toArray()).toEqual([
        [
          image().reshape(3, 3).toArray(),
          [
            [0, 0, 0],
            [0, 0, 0],
            [0, 0, 0],
          ],
        ],
      ]);
    });
  });

  it("rectify, flatten and follow one another", () => {
    scope(() => {
      expect(output(new ReLU(), Tensor.of([-1, 2]))).toEqual([0, 2]);
      expect(output(new Sequential(new AvgPool2d(2, 1), new Flatten()), image())).toEqual([[3, 4, 6, 7]]);
    });
  });

  it("drop in training alone, and scale what stays", () => {
    scope(() => {
      manualSeed(1);
      const dropout = new Dropout(0.75);
      const values = dropout.call(ones([4000])).toFloat32Array();
      expect(new Set(values)).toEqual(new Set([0, 4]));
      const kept = values.filter((value) => value > 0).length;
      expect(kept / 4000).toBeCloseTo(0.25, 1);
      expect(
        dropout
          .eval()
          .call(ones([2]))
          .toArray(),
      ).toEqual([1, 1]);
    });
  });
});
