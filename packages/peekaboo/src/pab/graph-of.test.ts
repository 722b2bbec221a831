import { liveTensorCount, nn, ops, type Tensor } from "@peekaboo/torch";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { graphOf } from "./graph-of.js";

/** A module whose forward pass is a function. */
class Computed extends nn.Module {
  readonly conv = this.registerModule(
    "conv",
    new nn.Conv2d({ inChannels: 2, outChannels: 2, kernelSize: 3, padding: 1 }),
  );
  readonly linear = this.registerModule("linear", new nn.Linear(8, 3));
  readonly norm = this.registerModule("norm", new nn.GroupNorm(2, 4, { eps: 0.001 }));

  constructor(readonly compute: (input: Tensor, own: Computed) => Tensor) {
    super();
  }

  override forward(input: Tensor): Tensor {
    return this.compute(input, this);
  }
}

let before = 0;
beforeEach(() => {
  before = liveTensorCount();
});
afterEach(() => expect(liveTensorCount()).toBe(before));

function traced(compute: (input: Tensor, own: Computed) => Tensor) {
  const module = new Computed(compute);
  try {
    return graphOf(module, [2, 4, 4]);
  } finally {
    for (const [, tensor] of module.namedParameters()) tensor.dispose();
  }
}

const conv = {
  op: "conv2d",
  weight: "conv.weight",
  bias: "conv.bias",
  stride: [1, 1],
  padding: [1, 1],
  dilation: [1, 1],
  groups: 1,
};

describe("graphOf", () => {
  it("names the weights of the state, and takes an operator in place for what its input is from then on", () => {
    const { graph } = traced((input, { conv, linear }) => {
      const hidden = conv.call(input);
      ops.relu_(hidden);
      const sum = hidden.add(input);
      return linear.call(ops.avgPool2d(sum, 2).flatten(1));
    });
    expect(graph.nodes).toEqual([
      { ...conv, inputs: [0] },
      { op: "relu", inputs: [1] },
      { op: "add", inputs: [2, 0] },
      { op: "avg_pool2d", inputs: [3], kernel: [2, 2], stride: [2, 2], padding: [0, 0] },
      { op: "reshape", inputs: [4], shape: [8, 1, 1] },
      { op: "linear", inputs: [5], weight: "linear.weight", bias: "linear.bias" },
    ]);
  });

  it("has group normalisation, every activation, joined channels and poolings that aren't square", () => {
    const { graph, norms } = traced((input, { norm }) => {
      const joined = ops.cat([ops.silu(input), ops.gelu(input, { approximate: "tanh" })], 1);
      const gate = ops.sigmoid(ops.gelu(norm.call(joined)));
      const [largest] = ops.adaptiveMaxPool2d(gate, [2, 1]);
      return ops.adaptiveAvgPool2d(ops.maxPool2d(largest, 2, 1, [0, 1], [1, 2]), 1);
    });
    expect(graph.nodes).toEqual([
      { op: "silu", inputs: [0] },
      { op: "gelu", inputs: [0], approximate: "tanh" },
      { op: "concat", inputs: [1, 2] },
      { op: "group_norm", inputs: [3], scale: "norm.weight", shift: "norm.bias", groups: 2, eps: 0.001 },
      { op: "gelu", inputs: [4], approximate: "none" },
      { op: "sigmoid", inputs: [5] },
      { op: "max_pool2d", inputs: [6], kernel: [2, 4], stride: [2, 4], padding: [0, 0] },
      { op: "max_pool2d", inputs: [7], kernel: [2, 2], stride: [1, 1], padding: [0, 1], dilation: [1, 2] },
      { op: "avg_pool2d", inputs: [8], kernel: [1, 1], stride: [1, 1], padding: [0, 0] },
    ]);
    expect(norms).toEqual([]);
  });

  it("takes a value that is joined with nothing for itself", () => {
    const { graph } = traced((input) => ops.relu(ops.cat([input], 1)));
    expect(graph.nodes).toEqual([{ op: "relu", inputs: [0] }]);
  });

  it("takes every second pixel and channels of zeros for one operation", () => {
    const { graph } = traced((input) => ops.pad(input.slice(2, 0, 4, 2).slice(3, 0, 4, 2), [0, 0, 0, 0, 1, 3]));
    expect(graph.nodes).toEqual([{ op: "subsample", inputs: [0], stride: [2, 2], before: 1, after: 3 }]);
  });

  it("leaves the module in the mode that it was in", () => {
    const module = new Computed((input, own) => own.conv.call(input));
    graphOf(module, [2, 4, 4]);
    expect(module.training).toBe(true);
    for (const [, tensor] of module.namedParameters()) tensor.dispose();
  });

  it.each([
    ["an operator that it doesn't know", (input: Tensor) => ops.sqrt(input), "for sqrt, received none of these"],
    ["a part of the image", (input: Tensor) => input.slice(2, 1, 4), "every n-th row and column of the whole image"],
    ["what is joined otherwise than by channels", (input: Tensor) => ops.cat([input, input], 2), "channels of images"],
    [
      "what is joined with another tensor",
      (input: Tensor) => ops.cat([input, ops.zeros([1, 1, 4, 4])], 1),
      "what is computed from the image for cat, received another tensor",
    ],
    [
      "windows of different sizes",
      (input: Tensor) => ops.adaptiveMaxPool2d(input, 3)[0],
      "a size that divides 4 × 4 for adaptive_max_pool2d, received 3 × 3",
    ],
    ["the places of maxima", (input: Tensor) => ops.adaptiveMaxPool2d(input, 1)[1], "the result of the last operation"],
    ["a sum with a multiple", (input: Tensor) => ops.add(input, input, { alpha: 2 }), "a sum of two tensors"],
    [
      "an output that isn't computed last",
      (input: Tensor, own: Computed) => {
        const out = own.conv.call(input);
        own.conv.call(out);
        return out;
      },
      "the result of the last operation",
    ],
  ] as const)("refuses %s", (_, compute, sentence) => {
    expect(() => traced(compute)).toThrow(sentence);
  });
});
