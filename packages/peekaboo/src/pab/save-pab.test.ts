import { readFileSync } from "node:fs";
import { join } from "node:path";
import { load } from "@peekaboo/runtime";
import { liveTensorCount, nn, noGrad, scope, Tensor } from "@peekaboo/torch";
import { env, InferenceSession, Tensor as OrtTensor } from "onnxruntime-web";
import { afterEach, expect, it } from "vitest";
import { sharedFolder } from "../../../../tests/support/folder.js";
import { disguise } from "../models/disguise.js";
import type { Network } from "../models/network.js";
import { saveOnnx } from "../onnx/save-onnx.js";
import { type PruneOptions, prune } from "../pruning/loop.js";
import { findPruner } from "../pruning/pruners/registry.js";
import { savePab } from "./save-pab.js";

const folder = sharedFolder();
afterEach(() => expect(liveTensorCount()).toBe(0));

/** A grey network with a convolution that is left to SGD. */
async function network(pruning: Partial<PruneOptions> = {}): Promise<Network> {
  const conv = (inChannels: number, outChannels: number) =>
    new nn.Conv2d({ inChannels, outChannels, kernelSize: 3, padding: 1 });
  const module = new nn.Sequential(
    ...[conv(1, 6), new nn.BatchNorm2d(6), new nn.ReLU(), conv(6, 6), new nn.ReLU(), new nn.AvgPool2d(4)],
    ...[new nn.Flatten(), new nn.Linear(24, 3)],
  );
  const own = disguise(module, { imageShape: [1, 8, 8], seed: 11, prunable: ["0"], name: "Own" });
  await prune(own, { pruner: findPruner("SynFlow"), density: 0.5, iterations: 4, ...pruning });
  own.module.eval();
  return own;
}

const image = Float32Array.from({ length: 64 }, (_, i) => Math.sin(i));
const logitsOf = (own: Network) =>
  scope(() => noGrad(() => own.call(Tensor.from(image, { shape: [1, 1, 8, 8] }))).toFloat32Array());

function expectClose(received: Float32Array, expected: Float32Array): void {
  expect(received.length).toBe(expected.length);
  for (const [i, logit] of received.entries()) expect(logit).toBeCloseTo(expected[i] ?? Number.NaN, 5);
}

const facts = { classes: ["a", "b", "c"], mean: [0.1], std: [0.5] };

it("writes what the runtime and onnxruntime compute alike, with what is said of it", async () => {
  using own = await network();
  const [pab, onnx] = [join(folder, "own.pab"), join(folder, "own.onnx")];
  const { bytes, stored } = savePab(own, pab, {
    ...facts,
    float32: true,
    license: "MIT",
    test: { accuracy: 50, images: 10, loss: 1.23456 },
  });
  expect(stored).toEqual(["3.weight"]);
  expect(readFileSync(pab).length).toBe(bytes);
  const { description, engine } = await load(readFileSync(pab));
  expect(description).toMatchObject({
    ...{ network: "PsgOwn", seed: 11, init: "kaiming_normal", classes: ["a", "b", "c"], mean: [0.1], std: [0.5] },
    ...{ test: { accuracy: 50, images: 10, loss: 1.2346 }, provenance: { license: "MIT" } },
  });
  const expected = logitsOf(own);
  expectClose(engine.run(image), expected);

  saveOnnx(own, onnx, facts);
  env.wasm.numThreads = 1;
  const session = await InferenceSession.create(readFileSync(onnx), { executionProviders: ["wasm"] });
  const { logits } = await session.run({ image: new OrtTensor("float32", image, [1, 1, 8, 8]) });
  expectClose(logits?.data as Float32Array, expected);
  await session.release();
});

it.each([
  ["Rand", false, "random"],
  ["ERK", false, "shuffle"],
  ["SynFlow", true, "shuffle"],
  ["SynFlow", false, "model"],
])("finds the rule of masks that follow from the seed: %s, shuffled: %s", async (pruner, shuffle, rule) => {
  using own = await network({ pruner: findPruner(pruner), shuffle });
  const path = join(folder, "rule.pab");
  savePab(own, path, { ...facts, float32: true });
  const { description, engine } = await load(readFileSync(path));
  expect(description.tensors.find(({ name }) => name === "0.weight")?.mask).toBe(rule);
  expectClose(engine.run(image), logitsOf(own));
});

it("refuses facts that don't fit, weights without a seed where only such are asked for, and what isn't finite", async () => {
  using own = await network();
  const path = join(folder, "refused.pab");
  expect(() => savePab(own, path, { ...facts, classes: ["a"] })).toThrow("expected 3 names for classes, received 1");
  expect(() => savePab(own, path, { ...facts, mean: [1, 2] })).toThrow("for mean, received 2");
  expect(() => savePab(own, path, { ...facts, seedOnly: true })).toThrow('for "3.weight", received others');
  expect(() => savePab(own, join(folder, "nowhere/own.pab"))).toThrow(/^save: /);
  noGrad(() => void own.module.stateDict().get("7.bias")?.fill_(Number.NaN));
  expect(() => saveOnnx(own, path, facts)).toThrow("received NaN or infinity");
});
