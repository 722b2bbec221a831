// What onnxruntime makes of an exported network, against libtorch.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createEngine } from "@peekaboo/runtime";
import type { GraphNode } from "@peekaboo/seed";
import { describe, expect } from "vitest";
import { it } from "../../../../tests/support/folder.js";
import { writeNetwork } from "../checkpoint/checkpoint.js";
import { BEGINNING } from "../checkpoint/progress.js";
import { exportOnnx } from "../commands/export-onnx.js";
import { architectureNames } from "../models/registry.js";
import { built, classes, difference, disturb, logits, settingsOf, twoImages } from "../pab/networks.support.js";
import { effectiveGraph } from "../pab/pab-of.js";
import { encodeNetwork } from "../pab/write-pab.js";
import { onnxOf } from "./model-of.js";
import { run } from "./onnxruntime.support.js";

const rule = { mean: [0.5, 0.5, 0.5], std: [0.2, 0.2, 0.2], crop: 1, classes };

async function compared(settings: object): Promise<number> {
  const { network, config } = built(settings);
  try {
    disturb(network);
    const { graph, values: tensors } = effectiveGraph(network);
    const model = onnxOf({ network: config.arch, graph, tensors, ...rule });
    const { data, ...names } = await run(model, twoImages(network.imageShape), [2, ...network.imageShape]);
    expect(names).toEqual({ dims: [2, 10], inputNames: ["image"], outputNames: ["logits"] });
    const expected = logits(network);
    expect(Math.max(...expected.map(Math.abs))).toBeGreaterThan(0);
    return difference(data, expected);
  } finally {
    network.dispose();
  }
}

describe("a network in ONNX", () => {
  it.for([...architectureNames])("%s computes the same", async (arch) => {
    expect(await compared(settingsOf(arch))).toBeLessThan(1e-4);
  });

  it("has a Seed network's input scales", async () => {
    const settings = { ...settingsOf("SeedResNet20"), hiddenAct: "ternary", scalingInput: true };
    expect(await compared(settings)).toBeLessThan(1e-4);
  });

  it("is written of a .pab file", async ({ folder }) => {
    const { network, config } = built(settingsOf("PsgResNet20"));
    disturb(network);
    const path = join(folder, "x.pab");
    const { bytes } = encodeNetwork({ network, config, name: "x", classes, test: null }, { float32: true });
    writeFileSync(path, bytes);
    const written = await exportOnnx(path, { output: null, force: false });
    expect(written).toMatchObject({
      output: join(folder, "x.onnx"),
      input: { name: "image", sizes: ["N", 3, 32, 32] },
      logits: { name: "logits", sizes: ["N", 10] },
    });
    const { data } = await run(readFileSync(written.output), twoImages([3, 32, 32]), [2, 3, 32, 32]);
    expect(difference(data, logits(network))).toBeLessThan(1e-4);
    await expect(exportOnnx(path, { output: null, force: false })).rejects.toThrow("give `force` to replace it");
    network.dispose();
  });

  it("is written of a checkpoint", async ({ folder }) => {
    const { network, config } = built(settingsOf("ResNet20"));
    disturb(network);
    const path = join(folder, "best.safetensors");
    await writeNetwork(path, network, config, BEGINNING);
    const { output, nonfinite } = await exportOnnx(path, { output: join(folder, "y.onnx"), force: false });
    expect(nonfinite).toBeUndefined();
    const { data } = await run(readFileSync(output), twoImages([3, 32, 32]), [2, 3, 32, 32]);
    expect(difference(data, logits(network))).toBeLessThan(1e-4);
    network.dispose();
  });

  it("has every operation, whatever its tensors are called", async () => {
    const nodes: GraphNode[] = [
      { op: "max_pool2d", inputs: [0], kernel: [3, 2], stride: [2, 1], padding: [1, 1], dilation: [1, 3] },
      { op: "avg_pool2d", inputs: [1], kernel: [2, 3], stride: [1, 2], padding: [1, 1] },
      { op: "subsample", inputs: [2], stride: [2, 1], before: 1, after: 2 },
      { op: "affine", inputs: [3], scale: "image" },
      { op: "subsample", inputs: [4], stride: [1, 1], before: 0, after: 0 },
      { op: "reshape", inputs: [5], shape: [4, 2, 3] },
      { op: "linear", inputs: [6], weight: "logits" },
      { op: "relu", inputs: [7] },
      { op: "reshape", inputs: [8], shape: [2, 1, 2] },
      { op: "gelu", inputs: [9], approximate: "none" },
      { op: "gelu", inputs: [9], approximate: "tanh" },
      { op: "concat", inputs: [10, 11, 9] },
      { op: "silu", inputs: [12] },
      { op: "group_norm", inputs: [13], scale: "s", shift: "s", groups: 3, eps: 1e-3 },
      { op: "group_norm", inputs: [14], scale: "s", groups: 2, eps: 0.1 },
      { op: "sigmoid", inputs: [15] },
    ];
    const tensors = new Map([
      ["image", { shape: [4], data: Float32Array.of(1, -2, 3, 4) }],
      ["s", { shape: [6], data: Float32Array.of(1, 2, -3, 0.5, 2, 1) }],
      ["logits", { shape: [4, 24], data: Float32Array.from({ length: 96 }, (_, i) => Math.cos(i)) }],
    ]);
    const graph = { input: [1, 6, 6] as const, nodes };
    const images = Float32Array.from({ length: 72 }, (_, i) => Math.sin(i));
    const model = onnxOf({ network: "x", graph, tensors, ...rule, classes: Array(12).fill("a") });
    const { data } = await run(model, images, [2, 1, 6, 6]);
    expect(difference(data, (await createEngine({ graph, tensors })).run(images))).toBeLessThan(1e-5);
  });
});
