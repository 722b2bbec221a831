import { describe, expect, it } from "vitest";
import { UserError } from "../errors.js";
import * as ops from "../generated/ops.js";
import { scope } from "../scope.js";
import { Tensor } from "../tensor.js";
import * as nn from "./index.js";

function network(): nn.Sequential {
  return new nn.Sequential(
    new nn.Conv2d({ inChannels: 1, outChannels: 2, kernelSize: 3, padding: 1 }),
    new nn.BatchNorm2d(2),
    new nn.ReLU(),
    new nn.MaxPool2d(2),
    new nn.Flatten(),
    new nn.Linear(8, 3),
  );
}

describe("state", () => {
  it("has PyTorch's names, in its order", () => {
    expect([...network().stateDict().keys()]).toEqual([
      "0.weight",
      "0.bias",
      "1.weight",
      "1.bias",
      "1.running_mean",
      "1.running_var",
      "5.weight",
      "5.bias",
    ]);
  });

  it("moves from one network to another", () => {
    const [from, to] = [network(), network()];
    const input = ops.randn([2, 1, 4, 4]);
    to.loadStateDict(from.stateDict());
    scope(() => expect(to.eval().call(input).toArray()).toEqual(from.eval().call(input).toArray()));
  });

  it("names what is missing, unexpected and of another shape, and then copies nothing", () => {
    const net = network();
    const before = net.stateDict().get("0.bias")?.toArray();
    const state = new Map<string, Tensor>(net.stateDict());
    state.delete("5.bias");
    state.set("extra", Tensor.of([1]));
    state.set("1.weight", Tensor.of([1, 2, 3]));
    state.set("0.bias", Tensor.of([8, 9]));
    expect(() => net.loadStateDict(state)).toThrow(UserError);
    expect(() => net.loadStateDict(state)).toThrow(
      "1 missing (5.bias), 1 unexpected (extra), 1 of another shape (1.weight [3] instead of [2])",
    );
    expect(net.stateDict().get("0.bias")?.toArray()).toEqual(before);
    const difference = net.loadStateDict(state, { strict: false });
    expect(difference).toEqual({
      missing: ["5.bias"],
      unexpected: ["extra"],
      misshaped: [{ name: "1.weight", expected: [2], received: [3] }],
    });
    expect(net.stateDict().get("0.bias")?.toArray()).toEqual([8, 9]);
  });

  it("changes dtype in place and still trains", () => {
    const net = network().to({ dtype: "float64" });
    for (const tensor of net.stateDict().values()) expect(tensor.dtype).toBe("float64");
    net
      .call(ops.randn([2, 1, 4, 4], { dtype: "float64" }))
      .sum()
      .backward();
    for (const [, parameter] of net.namedParameters()) expect(parameter.grad).not.toBeNull();
    net.zeroGrad();
    for (const [, parameter] of net.namedParameters()) expect(parameter.grad).toBeNull();
  });
});

describe("layers", () => {
  it("BatchNorm2d normalises by the batch in training, keeps running statistics, and uses them in evaluation", () => {
    const norm = new nn.BatchNorm2d(1, { eps: 0 });
    const input = Tensor.of([[[[1, 3]]], [[[5, 7]]]]);
    // Mean 4, variance 5 (biased) and 20/3 (unbiased, for the running one).
    const normalised = norm.call(input).toFloat32Array();
    [-3, -1, 1, 3].forEach((value, i) => {
      expect(normalised[i]).toBeCloseTo(value / Math.sqrt(5), 6);
    });
    const state = norm.stateDict();
    expect(state.get("running_mean")?.item()).toBeCloseTo(0.4, 6);
    expect(state.get("running_var")?.item()).toBeCloseTo(0.9 + 0.1 * (20 / 3), 6);
    const evaluated = norm.eval().call(Tensor.of([[[[0.4]]]]));
    expect(evaluated.item()).toBeCloseTo(0, 6);
  });

  it("Conv2d, pooling and Linear compute their definitions", () => {
    const conv = new nn.Conv2d({ inChannels: 1, outChannels: 1, kernelSize: 2, stride: 2 });
    conv.loadStateDict(
      new Map([
        [
          "weight",
          Tensor.of([
            [
              [
                [1, 2],
                [3, 4],
              ],
            ],
          ]),
        ],
        ["bias", Tensor.of([10])],
      ]),
    );
    expect(
      conv
        .call(
          Tensor.of([
            [
              [
                [1, 1],
                [1, 1],
              ],
            ],
          ]),
        )
        .item(),
    ).toBe(20);
    const grid = Tensor.of([
      [
        [
          [1, 2],
          [3, 6],
        ],
      ],
    ]);
    expect(new nn.MaxPool2d(2).call(grid).item()).toBe(6);
    expect(new nn.AvgPool2d(2).call(grid).item()).toBe(3);
    expect(new nn.AdaptiveAvgPool2d(1).call(grid).item()).toBe(3);
    const linear = new nn.Linear(2, 1);
    linear.loadStateDict(
      new Map([
        ["weight", Tensor.of([[2, 3]])],
        ["bias", Tensor.of([1])],
      ]),
    );
    expect(linear.call(Tensor.of([[10, 100]])).toArray()).toEqual([[321]]);
  });

  it("Dropout drops in training alone", () => {
    const dropout = new nn.Dropout(0.5);
    const input = Tensor.of(Array.from({ length: 1000 }, () => 1));
    const kept = dropout.call(input).sum().item() / 2;
    expect(kept).toBeGreaterThan(400);
    expect(kept).toBeLessThan(600);
    expect(dropout.eval().call(input).sum().item()).toBe(1000);
  });

  it("start within PyTorch's default bounds, ±1/√fanIn", () => {
    const { weight, bias } = new nn.Conv2d({ inChannels: 4, outChannels: 8, kernelSize: 3 });
    for (const value of [...weight.toFloat32Array(), ...(bias?.toFloat32Array() ?? [])]) {
      expect(Math.abs(value)).toBeLessThanOrEqual(1 / 6);
    }
    expect(weight.abs().max().item()).toBeGreaterThan(0.15);
    const wide = nn.init.kaimingNormal_(ops.empty([200, 50]));
    expect(Math.sqrt(wide.mul(wide).mean().item())).toBeCloseTo(Math.sqrt(2 / 50), 2);
  });
});
