import { grad, liveTensorCount, manualSeed, noGrad, ops, scope, type Tensor } from "@peekaboo/torch";
import { describe, expect, it } from "vitest";
import type { ImageShape } from "../data/batch.js";
import type { PsgOptions } from "../layers/psg-conv2d.js";

import { Network, type NetworkOptions } from "./network.js";
import { architectures } from "./registry.js";

const psg: PsgOptions = {
  backward: true,
  msbBits: 8,
  msbBitsGrad: 16,
  threshold: { mode: "relative", value: 0 },
  sparsify: true,
  takeSign: false,
};

function using<Result>(options: Partial<NetworkOptions> & { arch: string }, use: (network: Network) => Result): Result {
  return scope(() => {
    const network = new Network({ numClasses: 10, width: 0.125, psg, ...options });
    network.initialise("kaiming_normal", 1);
    try {
      return use(network);
    } finally {
      network.dispose();
    }
  });
}

function logits(network: Network, [channels, height, width]: ImageShape): Tensor {
  network.module.eval();
  return noGrad(() =>
    network.call(
      ops
        .arange(channels * height * width)
        .div(1000)
        .reshape(1, channels, height, width),
    ),
  );
}

describe("fast convolutions", () => {
  const variants = ["ResNet20", "PsgResNet20", "SeedResNet20", "PsgSeedResNet20"];

  it.each(variants)("change %s's logits and gradients in last digits alone", (arch) => {
    scope(() => {
      manualSeed(3);
      const images = ops.contiguous(ops.randn([8, 3, 32, 32]), { memoryFormat: "channelsLast" });
      const hidden = arch === "SeedResNet20" ? { hiddenAct: "pruning" as const } : {};
      const run = (conv: "exact" | "fast") =>
        using({ arch, width: 1, conv, ...hidden }, (network) => {
          const output = network.call(images);
          const weight = network.module.stateDict().get("linear.weight") as Tensor;
          const [gradient] = grad([ops.mul(output, output).sum()], [weight]);
          return [output.detach(), gradient as Tensor];
        });
      const exact = run("exact");
      run("fast").forEach((tensor, i) => {
        expect(ops.equal(tensor, exact[i] as Tensor)).toBe(false);
        expect(ops.allclose(tensor, exact[i] as Tensor, 1e-3, 1e-4)).toBe(true);
      });
    });
  });
});

describe("an architecture adapts", () => {
  const shapes: ImageShape[] = [
    [3, 32, 32],
    [1, 28, 28],
    [3, 64, 48],
  ];
  const small = architectures.filter(({ name }) =>
    /^(ResNet18|ResNet20|WideResNet28_10|VGG\d+|Conv\d|res.*(18|50.*))$/.test(name),
  );
  it.each(small)("$name to grey, other sizes and other numbers of classes", ({ name }) => {
    for (const imageShape of shapes) {
      using({ arch: name, imageShape, numClasses: 7, width: 0.05 }, (network) => {
        const result = logits(network, imageShape);
        expect(result.shape).toEqual([1, 7]);
        expect([...result.toFloat32Array()].every(Number.isFinite)).toBe(true);
      });
    }
  });

  it("refusing images too small for its poolings in one sentence", () => {
    expect(() => new Network({ arch: "Conv6", numClasses: 10, imageShape: [3, 4, 4] })).toThrow(
      "build Conv6: expected at least 8 pixels a side, for 3 poolings for the images' size, received 4 × 4; choose a network with fewer poolings.",
    );
  });
});

describe("who trains what", () => {
  it("Bop owns weights and scores of convolutions, SGD thresholds, scales, BatchNorm and Linear", () => {
    using({ arch: "SeedVGG11", hiddenAct: "ternary", scalingInput: true }, (network) => {
      const first = (names: Iterable<string>) =>
        [...names].filter((name) => /^(features\.[01]|classifier)\./.test(name));
      expect(first(network.bopParameters().keys())).toEqual(["features.0.weight", "features.0.t"]);
      expect(first(network.otherParameters().keys())).toEqual([
        "features.0.lo",
        "features.0.hi",
        "features.0.scale",
        "features.1.weight",
        "features.1.bias",
        "classifier.weight",
        "classifier.bias",
      ]);
    });
  });

  it("VGG's convolutions have biases, which Bop owns, only in the plain network", () => {
    using({ arch: "VGG11" }, (network) => expect([...network.bopParameters().keys()]).toContain("features.0.bias"));
    using({ arch: "PsgVGG11" }, (network) =>
      expect([...network.module.stateDict().keys()]).not.toContain("features.0.bias"),
    );
  });
});

it("tells how many weights it has drawn, layer by layer", () => {
  using({ arch: "ResNet20", width: 0.05 }, (network) => {
    const drawn: number[] = [];
    network.initialise("kaiming_normal", 2, (done) => drawn.push(done));
    const sizes = [...network.module.namedParameters()].flatMap(([, { shape, numel }]) =>
      shape.length > 1 ? numel : [],
    );
    expect(drawn).toHaveLength(sizes.length);
    expect(drawn.at(-1)).toBe(sizes.reduce((sum, size) => sum + size, 0));
    expect(drawn).toEqual([...drawn].sort((a, b) => a - b));
  });
});

describe("latent scores at the start", () => {
  const bounds = { pruning: [0.01, 0.1], flipping: [0.01, 0.1], ternary: [-1, 1] } as const;
  it.each(["pruning", "flipping", "ternary"] as const)("%s: uniform between the original's bounds", (hiddenAct) => {
    using({ arch: "SeedResNet20", width: 1, hiddenAct }, (network) => {
      const t = network.module.stateDict().get("layer3.2.conv2.t")?.toFloat32Array() ?? new Float32Array();
      const [from, to] = bounds[hiddenAct];
      const mean = t.reduce((sum, value) => sum + value, 0) / t.length;
      expect(t.length).toBe(64 * 64 * 9);
      expect(Math.min(...t)).toBeGreaterThanOrEqual(from);
      expect(Math.min(...t)).toBeLessThan(from + 0.01 * (to - from));
      expect(Math.max(...t)).toBeLessThanOrEqual(to);
      expect(Math.abs(mean - (from + to) / 2)).toBeLessThan(0.02 * (to - from));
    });
  });

  it("asks for --hidden-act", () => {
    expect(() => new Network({ arch: "SeedResNet20", numClasses: 10 })).toThrow(/for `hiddenAct`, received none given/);
    expect(() => new Network({ arch: "PsgSeedResNet20", numClasses: 10, psg, hiddenAct: "ternary" })).toThrow(
      /expected flipping, or nothing for `hiddenAct`, received ternary/,
    );
  });
});

describe("the effective state", () => {
  it.each([
    { arch: "PsgResNet20" },
    { arch: "SeedResNet20", hiddenAct: "ternary", scalingInput: true },
    { arch: "SeedVGG11", hiddenAct: "edge-popup", hiddenDensity: 0.4 },
    { arch: "psg_resnet18", imageShape: [3, 32, 32] },
  ] satisfies (Partial<NetworkOptions> & { arch: string })[])(
    "of a masked $arch makes its plain twin compute the same",
    (options) => {
      using(options, (network) => {
        const masks = [...network.prunable()].map(
          ([name, { weight }]) => [name, weight.detach().gt(0).to({ dtype: "uint8" })] as const,
        );
        network.setMasks(new Map(masks));
        const twin = network.plainTwin();
        const state = network.effectiveState();
        twin.module.loadStateDict(state);
        const expected = logits(network, network.imageShape);
        const actual = logits(twin, network.imageShape);
        expect([...actual.toFloat32Array()]).toEqual([...expected.toFloat32Array()]);
        expect(new Set(expected.toFloat32Array()).size).toBe(10);
        for (const tensor of state.values()) tensor.dispose();
        twin.dispose();
      });
    },
  );
});

it("initialising leaves no tensor behind", () => {
  const network = new Network({ arch: "ResNet20", numClasses: 10, width: 0.25 });
  const before = liveTensorCount();
  network.initialise("kaiming_normal", 1);
  expect(liveTensorCount()).toBe(before);
  network.dispose();
});
