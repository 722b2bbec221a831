import { statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeSafetensors } from "@peekaboo/files";
import { UserError } from "@peekaboo/files/errors";
import { numel, type TensorEntry } from "@peekaboo/files/safetensors";
import { describe, expect, it } from "vitest";
import { sharedFolder } from "../../../../tests/support/folder.js";
import { formatReport } from "../cli/inspect.js";
import { inspectFile } from "./inspect.js";

const folder = sharedFolder();

const floats = (...shape: number[]): TensorEntry => {
  const size = numel(shape);
  return { dtype: "F32", shape, data: new Uint8Array(4 * size) };
};
const bytes = (values: number[], ...shape: number[]): TensorEntry => ({
  dtype: "U8",
  shape,
  data: Uint8Array.from(values),
});
const counts = (values: number[], ...shape: number[]): TensorEntry => ({
  dtype: "I32",
  shape,
  data: new Uint8Array(Int32Array.from(values).buffer),
});

/** Two convolutions of 8 and 4 weights with 2 and 4 of them kept, BatchNorm of 2 channels, a Linear of 2×3. */
const network: Record<string, TensorEntry> = {
  "conv1.weight": floats(2, 1, 2, 2),
  "bn1.weight": floats(2),
  "bn1.bias": floats(2),
  "bn1.running_mean": floats(2),
  "bn1.running_var": floats(2),
  "bn1.num_batches_tracked": { dtype: "I64", shape: [], data: new Uint8Array(8) },
  "conv2.weight": floats(2, 2, 1, 1),
  "linear.weight": floats(3, 2),
  "linear.bias": floats(3),
  "mask.conv1.weight": bytes([1, 0, 0, 0, 0, 0, 0, 1], 2, 1, 2, 2),
  "mask.conv2.weight": bytes([1, 1, 1, 1], 2, 2, 1, 1),
  "bop.momentum.conv1.weight": floats(2, 1, 2, 2),
  "bop.flips.conv1.weight": counts([3, 0, 0, 0, 0, 0, 0, 4], 2, 1, 2, 2),
  "bop.flips.conv2.weight": counts([0, 0, 0, 5], 2, 2, 1, 1),
  "sgd.momentum.linear.bias": floats(3),
};

const pruning = { pruner: "SynFlow", density: 0.5 };
const metadata = {
  format: "peekaboo-checkpoint/1",
  config: JSON.stringify({ arch: "PsgResNet18", optimizer: "BOP", seed: 7, pruning }),
  progress: JSON.stringify({ epoch: 3, step: 1200, bestAccuracy: 55.7 }),
};

function checkpoint(changes: Record<string, TensorEntry | null> = {}, marks: Record<string, string> = {}): string {
  const file = join(folder, "checkpoint.safetensors");
  const tensors = Object.entries({ ...network, ...changes });
  writeSafetensors(
    file,
    tensors.flatMap(([name, entry]) => (entry === null ? [] : [[name, entry] as const])),
    { ...metadata, ...marks },
  );
  return file;
}

function withoutCompanions(): Record<string, null> {
  const names = Object.keys(network).filter((name) => /^(mask|bop|sgd)\./.test(name));
  return Object.fromEntries(names.map((name) => [name, null]));
}

describe("inspectFile", () => {
  it("counts what each layer keeps and how often it flipped", () => {
    const file = checkpoint();
    const report = inspectFile(file);
    expect(report).toMatchObject({
      file,
      bytes: statSync(file).size,
      config: { arch: "PsgResNet18", seed: 7 },
      progress: { epoch: 3, step: 1200, bestAccuracy: 55.7 },
      layers: [
        { name: "conv1.weight", shape: [2, 1, 2, 2], kept: 2, total: 8, flips: 7 },
        { name: "conv2.weight", shape: [2, 2, 1, 1], kept: 4, total: 4, flips: 5 },
      ],
      kept: 6,
      total: 12,
      flips: 12,
    });
  });

  it("counts the parameters without BatchNorm's statistics, and the dense state with them", () => {
    const { parameters, denseBytes } = inspectFile(checkpoint());
    // 8 + 4 convolution, 2 + 2 BatchNorm, 6 + 3 Linear; and 2 + 2 statistics.
    expect(parameters).toBe(25);
    expect(denseBytes).toBe(4 * 29);
  });

  it("sizes a Bop network as seed, mask entropy, signs and the other floats", () => {
    const { seed, masks, signs, floats: others, total } = inspectFile(checkpoint()).idealSize;
    // H(1/4) = 2 - 0.75·log2(3) bits for each of conv1's 8 weights; conv2's full mask carries nothing.
    const bits = 8 * (2 - 0.75 * Math.log2(3));
    expect(seed).toBe(8);
    expect(masks).toBeCloseTo(bits / 8, 12);
    expect(masks).toBeCloseTo(0.811278, 6);
    expect(signs).toBe(6 / 8);
    expect(others).toBe(4 * (8 + 9));
    expect(total).toBeCloseTo(8 + 0.811278 + 0.75 + 68, 6);
  });

  it("sizes shuffled masks as a seed and a count a layer", () => {
    const config = JSON.stringify({ arch: "ResNet18", optimizer: "SGD", pruning: { ...pruning, maskShuffle: true } });
    const { seed, masks } = inspectFile(checkpoint({}, { config })).idealSize;
    expect([seed, masks]).toEqual([8, 2 * 4]);
  });

  it("sizes a network that SGD trained by its kept weights as floats, with no seed", () => {
    const config = JSON.stringify({ arch: "ResNet18", optimizer: "SGD", pruning });
    const { seed, masks, signs, floats: others } = inspectFile(checkpoint({}, { config })).idealSize;
    expect([seed, signs, others]).toEqual([0, 0, 4 * (6 + 8 + 9)]);
    expect(masks).toBeCloseTo(0.811278, 6);
  });

  it("sizes a network of second-order Bop like one of Bop, its further state being no part of it", () => {
    const config = JSON.stringify({ arch: "PsgResNet18", optimizer: "BOP2", seed: 7, pruning });
    const state = {
      "bop.variance.conv1.weight": floats(2, 1, 2, 2),
      "bop.correction.conv1.weight": { dtype: "F64", shape: [2], data: new Uint8Array(16) } as const,
    };
    const [second, first] = [inspectFile(checkpoint(state, { config })), inspectFile(checkpoint())];
    expect(second.idealSize).toEqual(first.idealSize);
    expect(second.parameters).toBe(first.parameters);
    expect(second.layers).toEqual(first.layers);
  });

  it("sizes a Seed network as seed, what its scores keep, and signs where they give any", () => {
    const scores = (values: number[], ...shape: number[]): TensorEntry => ({
      dtype: "F32",
      shape,
      data: new Uint8Array(Float32Array.from(values).buffer),
    });
    const state = {
      ...withoutCompanions(),
      "conv1.t": scores([1, -1, 1, -1, -1, -1, -1, -1], 2, 1, 2, 2),
      "conv2.t": scores([1, 1, 1, 1], 2, 2, 1, 1),
      "conv2.scale": floats(1, 2, 1, 1),
    };
    const report = (hiddenAct: string) =>
      inspectFile(checkpoint(state, { config: JSON.stringify({ arch: "SeedResNet18", hiddenAct }) }));
    const hidden = report("pruning");
    expect(hidden.layers.map(({ name, kept, total }) => [name, kept, total])).toEqual([
      ["conv1.weight", 2, 8],
      ["conv2.weight", 4, 4],
    ]);
    const others = 4 * (8 + 9 + 2);
    expect(hidden.idealSize).toMatchObject({ seed: 8, signs: 0, floats: others });
    expect(hidden.idealSize.masks).toBeCloseTo(0.811278, 6);
    expect(report("flipping").idealSize).toMatchObject({ seed: 8, masks: 0, signs: 12 / 8, floats: others });
  });

  it("takes the convolutions for the layers of a network without masks", () => {
    const report = inspectFile(checkpoint(withoutCompanions()));
    expect(report.layers).toEqual([
      { name: "conv1.weight", shape: [2, 1, 2, 2], kept: 8, total: 8, flips: null },
      { name: "conv2.weight", shape: [2, 2, 1, 1], kept: 4, total: 4, flips: null },
    ]);
    expect(report.flips).toBeNull();
    expect(report.idealSize.masks).toBe(0);
  });

  it("leaves open what the checkpoint doesn't tell", () => {
    const report = inspectFile(checkpoint({}, { progress: '{"bestAccuracy":null}' }));
    expect(report.progress).toEqual({ epoch: null, step: null, bestAccuracy: null });
  });

  it.each<[string, Record<string, TensorEntry>, Record<string, string>, string]>([
    ["of another format", {}, { format: "pt" }, "expected the mark peekaboo-checkpoint/1"],
    ["without a configuration", {}, { config: "" }, "a configuration in JSON"],
    ["with an invalid configuration", {}, { config: '{"epochs":0}' }, "for epochs, received 0"],
    ["with progress that is no object", {}, { progress: "7" }, "where the run stood"],
    [
      "with a mask of another shape",
      { "mask.conv1.weight": bytes([1], 1) },
      {},
      "U8 [2, 1, 2, 2] of the weight conv1.weight",
    ],
    ["with a mask that isn't one", { "mask.conv2.weight": bytes([1, 2, 0, 0], 2, 2, 1, 1) }, {}, "0 or 1 everywhere"],
    ["with flips of another type", { "bop.flips.conv2.weight": floats(2, 2, 1, 1) }, {}, "received F32 [2, 2, 1, 1]"],
    ["with a variance of no tensor", { "bop.variance.conv9.weight": floats(1) }, {}, "the weight conv9.weight"],
    ["with a mask of no tensor", { "mask.conv9.weight": bytes([1], 1) }, {}, "the weight conv9.weight"],
  ])("refuses a file %s", (_, changes, marks, words) => {
    expect(() => inspectFile(checkpoint(changes, marks))).toThrow(UserError);
    expect(() => inspectFile(checkpoint(changes, marks))).toThrow(words);
  });

  it("refuses what is no safetensors file", () => {
    const file = join(folder, "text");
    writeFileSync(file, "not a checkpoint");
    expect(() => inspectFile(file)).toThrow(UserError);
    expect(() => inspectFile(join(folder, "nothing"))).toThrow(UserError);
    expect(() => inspectFile(folder)).toThrow(UserError);
  });
});

describe("formatReport", () => {
  it("shows facts, layers and sizes", () => {
    const file = checkpoint();
    const report = { ...inspectFile(file), file: "best.safetensors", bytes: 1500 };
    expect(formatReport(report).split("\n")).toEqual([
      "checkpoint  best.safetensors, 1.5 kB",
      "network     PsgResNet18, width 1, standard from seed 7",
      "training    cifar10, BOP, in epoch 4, step 1,200, best accuracy 55.70 %",
      "pruning     SynFlow at density 0.5",
      "",
      "layer         shape    kept  of  density  flips",
      "conv1.weight  2×1×2×2     2   8   25.0 %      7",
      "conv2.weight  2×2×1×1     4   4    100 %      5",
      "together                  6  12   50.0 %     12",
      "",
      "parameters  25, 116 B as float32",
      "by entropy  78 B: seed 8 B + masks 1 B + signs 1 B + other numbers 68 B; 1.5 times smaller",
      "",
    ]);
  });

  it("says what is unknown", () => {
    const lines = formatReport(inspectFile(checkpoint(withoutCompanions(), { progress: "{}", config: "{}" }))).split(
      "\n",
    );
    expect(lines[2]).toBe("training    cifar10, SGD, in epoch ?, step ?, not tested");
    expect(lines[3]).toBe("pruning     none");
    expect(lines[6]).toMatch(/^conv1\.weight +2×1×2×2 +8 +8 +100 % +-$/);
    expect(lines.at(-2)).toBe("by entropy  116 B: other numbers 116 B; 1.0 times smaller");
  });
});
