import { createHash } from "node:crypto";
import { liveTensorCount, nn, noGrad, ops, scope, Tensor, zeros } from "@peekaboo/torch";
import { afterEach, describe, expect, it } from "vitest";
import type { BatchSource } from "../data/batch-source.js";
import type { LayerFactory } from "../layers/factory.js";
import { MaskedConv2d } from "../layers/masked-conv2d.js";
import { NormActSequential } from "../layers/norm-act.js";
import { PsgConv2d } from "../layers/psg-conv2d.js";
import { prune } from "../pruning/loop.js";
import { findPruner } from "../pruning/pruners/registry.js";
import { train } from "../training/search.js";
import { buildNetwork } from "./build.js";
import { architectureOf, disguise } from "./disguise.js";
import type { Network } from "./network.js";
import { findNetwork } from "./registry.js";

afterEach(() => expect(liveTensorCount()).toBe(0));

/** Layers as a user of PyTorch has them. */
const plainLayers: LayerFactory = {
  conv2d: ({ inChannels, outChannels, kernelSize, stride = 1, padding = 0, groups = 1, bias = false }) =>
    new nn.Conv2d({ inChannels, outChannels, kernelSize, stride, padding, groups, bias }),
  linear: ({ inFeatures, outFeatures }) => new nn.Linear(inFeatures, outFeatures),
};

const SHAPE = [3, 16, 16] as const;

/** One of the project's networks, written with such layers. */
function plainModule(name: string): nn.Module {
  const { architecture } = findNetwork(name);
  const channels = (paper: number) => Math.max(1, Math.round(paper * 0.1));
  return architecture.build({
    variant: "psg",
    layers: plainLayers,
    numClasses: 4,
    imageShape: SHAPE,
    dropout: 0,
    channels,
  });
}

/** Eight images, the same each time. */
function images(): BatchSource {
  const [channels, height, width] = SHAPE;
  const size = channels * height * width;
  const batches = async function* (order: Int32Array, batch: number) {
    for (let start = 0; start < order.length; start += batch) {
      const own = [...order.subarray(start, start + batch)];
      yield scope(() => ({
        input: Tensor.of(own.map((i) => Array.from({ length: size }, (_, k) => Math.sin(i * size + k)))).view(
          -1,
          ...SHAPE,
        ),
        target: Tensor.of(own.map((i) => i % 4)).to({ dtype: "int64" }),
      }));
    }
  };
  return {
    count: 8,
    imageShape: SHAPE,
    training: (order, size) => batches(order, size),
    plain: (size, order = Int32Array.from({ length: 8 }, (_, i) => i)) => batches(order, size),
    dispose() {},
  };
}

function checksum(tensor: Tensor): string {
  return createHash("sha256").update(new Uint8Array(tensor.toTypedArray().buffer)).digest("hex");
}

/** What is left of pruning, then the losses of a short training, and all of the state. */
async function story(network: Network) {
  const report = await prune(network, { pruner: findPruner("SynFlow"), density: 0.4, iterations: 3 });
  const losses: number[] = [];
  const how = { epochs: 2, batchSize: 4, bop: { ar: 1e-2, tau: 1e-6 } };
  for await (const { test } of train(network, {
    data: { train: images(), test: images() },
    ...how,
    onStep: ({ loss, flips }) => losses.push(loss, flips),
  }))
    losses.push(test.loss);
  const state = [...network.module.stateDict(), ...network.masks()];
  return { report, losses, state: state.map(([name, tensor]) => [name, checksum(tensor)]) };
}

/** VGG's Linear is pruned, too. */
const rule = (name: string) => (name.startsWith("VGG") ? () => true : undefined);

describe("one of the project's networks, written with PyTorch's layers", () => {
  it.each(["ResNet20", "ResNet18", "ResNet50", "WideResNet28_10", "VGG11", "Conv4"])(
    "%s computes, prunes and trains as the project's own, to the digit",
    async (name) => {
      const shape = { imageShape: SHAPE, numClasses: 4 };
      using own = buildNetwork(`Psg${name}`, { ...shape, width: 0.1, seed: 3 });
      using disguised = disguise(plainModule(name), { imageShape: SHAPE, seed: 3, prunable: rule(name) });
      const signed = ({ module }: Network) =>
        [...module.namedModules()].flatMap(([path, layer]) =>
          layer instanceof MaskedConv2d && layer.options.inputSigned ? [path] : [],
        );
      expect(signed(disguised)).toEqual(signed(own));
      expect(await story(disguised)).toEqual(await story(own));
    },
  );

  it("does as well where BatchNorm and ReLU are modules that know nothing of each other", async () => {
    const layers = () => [
      new nn.Conv2d({ inChannels: 3, outChannels: 6, kernelSize: 3, padding: 1, bias: false }),
      new nn.BatchNorm2d(6),
      new nn.ReLU(),
      new nn.MaxPool2d(4),
      new nn.Conv2d({ inChannels: 6, outChannels: 8, kernelSize: 3, stride: 2, bias: false }),
      new nn.BatchNorm2d(8),
      new nn.ReLU({ inPlace: true }),
      new nn.Flatten(),
      new nn.Linear(8, 4),
    ];
    using joined = disguise(new NormActSequential(...layers()), { imageShape: SHAPE, seed: 3 });
    using apart = disguise(new nn.Sequential(...layers()), { imageShape: SHAPE, seed: 3 });
    expect(await story(apart)).toEqual(await story(joined));
  });

  it("does as well when it is built anew for each copy", async () => {
    const built = architectureOf(
      () => plainModule("ResNet20"),
      {},
      { name: "Twenty", imageShape: SHAPE, numClasses: 4 },
    );
    using fresh = buildNetwork(built, { seed: 3 });
    using disguised = disguise(plainModule("ResNet20"), { imageShape: SHAPE, seed: 3 });
    expect(await story(fresh)).toEqual(await story(disguised));
  });

  it.each(["flipping", "pruning"] as const)("learns latent scores (%s)", async (hiddenAct) => {
    using own = buildNetwork("SeedVGG11", { imageShape: SHAPE, numClasses: 4, width: 0.1, hiddenAct });
    using disguised = disguise(plainModule("VGG11"), {
      imageShape: SHAPE,
      variant: "seed",
      hiddenAct,
      prunable: rule("VGG"),
    });
    expect(await story(disguised)).toEqual(await story(own));
  });
});

/** A module that keeps a tensor of its own in a field, uses one layer twice, and has one that it doesn't call. */
class Unusual extends nn.Module {
  readonly #gain: Tensor;
  readonly #stem = this.registerModule(
    "stem",
    new nn.Conv2d({ inChannels: 3, outChannels: 6, kernelSize: 3, padding: 1 }),
  );
  readonly #twice = this.registerModule("twice", new nn.Conv2d({ inChannels: 6, outChannels: 6, kernelSize: 1 }));
  readonly #norm = this.registerModule("norm", new nn.BatchNorm2d(6));
  readonly #head = this.registerModule("head", new nn.Linear(6, 4));

  constructor({ spare = false } = {}) {
    super();
    this.#gain = zeros([6, 1, 1], { dtype: "float32" }).fill_(2);
    this.registerParameter("gain", this.#gain);
    if (spare) this.registerModule("spare", new nn.Linear(2, 2));
  }

  override forward(input: Tensor): Tensor {
    const first = ops.relu(this.#norm.call(this.#stem.call(input)));
    const second = this.#twice.call(ops.relu(this.#twice.call(first)));
    return this.#head.call(ops.mul(ops.relu(second), this.#gain).mean([2, 3]));
  }
}

describe("a module with peculiarities", () => {
  it("prunes and trains: tensors in fields, a layer that is called twice, biases of SGD's", async () => {
    using network = disguise(new Unusual(), { imageShape: SHAPE, biases: "sgd" });
    expect([...network.prunable().keys()]).toEqual(["stem.weight", "twice.weight"]);
    expect([...network.bopParameters().keys()]).toEqual(["stem.weight", "twice.weight"]);
    const { report, losses } = await story(network);
    expect(report.total).toBe(6 * 3 * 9 + 36);
    expect(report.kept).toBe(report.total - Math.floor(0.6 * report.total));
    expect(losses.every(Number.isFinite)).toBe(true);
  });

  it("leaves a layer alone that a rule doesn't mean, and takes a Linear that it means", () => {
    using network = disguise(new Unusual(), { imageShape: SHAPE, prunable: ["twice", "head"], inputSigned: ["twice"] });
    const modules = new Map(network.module.namedModules());
    expect(modules.get("stem")).toBeInstanceOf(nn.Conv2d);
    expect(modules.get("twice")).toBeInstanceOf(PsgConv2d);
    expect((modules.get("twice") as PsgConv2d).options.inputSigned).toBe(true);
    expect([...network.prunable().keys()]).toEqual(["twice.weight", "head.weight"]);
    expect([...network.otherParameters().keys()]).toContain("stem.weight");
  });

  it("takes a single layer, and a network of Linear layers alone", () => {
    using one = disguise(
      new nn.Sequential(new nn.Flatten(), new nn.Linear(768, 5), new nn.ReLU(), new nn.Linear(5, 4)),
      {
        imageShape: SHAPE,
      },
    );
    expect([...one.prunable().keys()]).toEqual(["1.weight", "3.weight"]);
    const image = zeros([2, ...SHAPE], { dtype: "float32" });
    const logits = noGrad(() => one.call(image));
    expect(logits.shape).toEqual([2, 4]);
    for (const tensor of [image, logits]) tensor.dispose();
  });

  it.each<[string, () => nn.Module, object, string]>([
    [
      "outputs that are no logits",
      () => new nn.ReLU(),
      {},
      "for what the network makes of images, received [N, 3, 16, 16]",
    ],
    [
      "nothing to prune",
      () => new nn.Sequential(new nn.AdaptiveAvgPool2d(1), new nn.Flatten()),
      {},
      "expected an nn.Conv2d",
    ],
    [
      "an unknown name",
      () => new Unusual(),
      { prunable: ["steam"] },
      'stem, twice, head for prunable, received "steam"',
    ],
    [
      "a layer that isn't called",
      () => new Unusual({ spare: true }),
      { prunable: ["spare"] },
      "a layer that the forward pass calls",
    ],
  ])("refuses %s", (_, make, rules, sentence) => {
    const module = make();
    try {
      expect(() => disguise(module, { imageShape: SHAPE, ...rules })).toThrow(sentence);
    } finally {
      module.dispose();
    }
  });
});
