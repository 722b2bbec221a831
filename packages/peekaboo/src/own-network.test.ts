// A network of one's own with every layer there is, from random weights to files that other engines run.
import { createEngine } from "@peekaboo/runtime";
import { decodePab } from "@peekaboo/seed";
import { nn, ops, scope, Tensor } from "@peekaboo/torch";
import { describe, expect, it } from "vitest";
import { parseConfig } from "./config/config.js";
import {
  type BatchSource,
  type BuildContext,
  buildNetwork,
  defineArchitecture,
  type ImageShape,
  prune,
  pruners,
  train,
} from "./index.js";
import { measureNetwork } from "./models/measure.js";
import { onnxOf } from "./onnx/model-of.js";
import { run } from "./onnx/onnxruntime.support.js";
import { difference, logits, twoImages } from "./pab/networks.support.js";
import { effectiveGraph } from "./pab/pab-of.js";
import { encodeNetwork, imageRule } from "./pab/write-pab.js";

const imageShape: ImageShape = [3, 12, 16];
const classes = ["a", "b", "c"];

class Medley extends nn.Module {
  readonly #stem: nn.Module;
  readonly #dilated: nn.Module;
  readonly #head: nn.Module;

  constructor({ layers, channels, numClasses }: BuildContext) {
    super();
    const width = channels(8);
    const between = { inChannels: width, outChannels: width, inputSigned: true };
    this.#stem = this.registerModule(
      "stem",
      new nn.Sequential(
        layers.conv2d({ ...between, inChannels: 3, kernelSize: [3, 5], stride: [1, 2], padding: [1, 2] }),
        ...[new nn.GroupNorm(2, width), new nn.SiLU()],
      ),
    );
    this.#dilated = this.registerModule(
      "dilated",
      new nn.Sequential(
        layers.conv2d({ ...between, kernelSize: 3, padding: 2, dilation: 2, groups: 4 }),
        ...[new nn.BatchNorm2d(width), new nn.GELU()],
      ),
    );
    this.#head = this.registerModule(
      "head",
      new nn.Sequential(
        layers.conv2d({ ...between, inChannels: 2 * width, kernelSize: 1 }),
        ...[new nn.GroupNorm(4, width, { eps: 1e-3 }), new nn.GELU({ approximate: "tanh" })],
        new nn.MaxPool2d(2, { stride: [2, 1], padding: [0, 1], dilation: [1, 2] }),
        layers.conv2d({ ...between, kernelSize: [1, 3], padding: [0, 1], bias: true }),
        ...[new nn.Sigmoid(), new nn.AvgPool2d([1, 2]), new nn.AdaptiveMaxPool2d([3, 2])],
        ...[new nn.AdaptiveAvgPool2d([1, 2]), new nn.Flatten()],
        layers.linear({ inFeatures: 2 * width, outFeatures: numClasses }),
      ),
    );
  }

  override forward(input: Tensor): Tensor {
    const stem = this.#stem.call(input);
    return this.#head.call(ops.cat([stem, this.#dilated.call(stem)], 1));
  }
}

const medley = defineArchitecture({
  name: "Medley",
  imageShape,
  numClasses: classes.length,
  build: (context) => new Medley(context),
});

/** Twelve images, always the same. */
function images(): BatchSource {
  const count = 12;
  const size = imageShape[0] * imageShape[1] * imageShape[2];
  const batches = async function* (order: Int32Array, together: number) {
    for (let start = 0; start < order.length; start += together) {
      const own = order.subarray(start, start + together);
      const values = Array.from(own, (i) => Array.from({ length: size }, (_, k) => Math.sin(i * size + k)));
      yield scope(() => ({
        input: Tensor.of(values.flat()).view(own.length, ...imageShape),
        target: Tensor.of(Array.from(own, (i) => i % classes.length)).to({ dtype: "int64" }),
      }));
    }
  };
  return {
    count,
    imageShape,
    training: batches,
    plain: (together, order = Int32Array.from({ length: count }, (_, i) => i)) => batches(order, together),
    dispose() {},
  };
}

describe("a network of one's own", () => {
  it("with every layer is pruned, learns its signs, and computes the same in libtorch, the runtime and ONNX", async () => {
    const config = parseConfig({ optimizer: "BOP", initMethod: "kaiming_normal", seed: 3 });
    const network = buildNetwork(medley, { variant: "psg", seed: config.seed });
    const { kept, total } = await prune(network, { pruner: pruners.synFlow, density: 0.5, iterations: 10 });
    expect(total).toBe(8 * 3 * 15 + 8 * 2 * 9 + 8 * 16 + 8 * 8 * 3 + 3 * 16);
    expect(Math.abs(kept - total / 2)).toBeLessThan(5);
    const data = { train: images(), test: images() };
    let flips = 0;
    const onStep = (step: { flips: number }) => {
      flips += step.flips;
    };
    for await (const { train: means } of train(network, { data, epochs: 3, batchSize: 4, bop: { ar: 0.1 }, onStep }))
      expect(means.loss).toBeLessThan(5);
    expect(flips).toBeGreaterThan(10);

    const expected = logits(network);
    const given = twoImages(imageShape);
    const { bytes, stored } = encodeNetwork({ network, config, name: "x", classes, test: null }, { float32: true });
    expect(stored).toEqual([]);
    const { description, tensors } = decodePab(bytes);
    for (const simd of [true, false]) {
      const engine = await createEngine({ graph: description.graph, tensors }, { simd });
      expect(difference(engine.run(given), expected)).toBeLessThan(1e-4);
    }
    const { graph, values } = effectiveGraph(network);
    const model = onnxOf({ network: "x", graph, tensors: values, classes, ...imageRule(network, config) });
    const { data: computed } = await run(model, given, [2, ...imageShape]);
    expect(difference(computed, expected)).toBeLessThan(1e-4);
    network.dispose();
  });

  it("is measured, though its groups need more channels than the thinnest network has", () => {
    const { layers } = measureNetwork({ arch: "Medley", architecture: medley, numClasses: classes.length });
    expect(layers.map(({ shape, macs }) => [shape, macs])).toEqual([
      [[8, 3, 3, 5], 8 * 3 * 15 * 12 * 8],
      [[8, 2, 3, 3], 8 * 2 * 9 * 12 * 8],
      [[8, 16, 1, 1], 8 * 16 * 12 * 8],
      [[8, 8, 1, 3], 8 * 8 * 3 * 6 * 8],
      [[3, 16], 3 * 16],
    ]);
  });
});
