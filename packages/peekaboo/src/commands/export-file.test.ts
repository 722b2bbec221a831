import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readSafetensors } from "@peekaboo/files";
import { UserError } from "@peekaboo/files/errors";
import { asTypedArray } from "@peekaboo/files/safetensors";
import { ops, scope, Tensor } from "@peekaboo/torch";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { sharedFolder } from "../../../../tests/support/folder.js";
import { networkOptions, writeCheckpoint } from "../checkpoint/checkpoint.js";
import { loadPretrained } from "../checkpoint/pretrained.js";
import { BEGINNING } from "../checkpoint/progress.js";
import { findState } from "../checkpoint/state-file.js";
import { parseConfig } from "../config/config.js";
import { Network } from "../models/network.js";
import { prune } from "../pruning/loop.js";
import { magnitude } from "../pruning/pruners/magnitude.js";
import { Trainer } from "../training/trainer.js";
import { type ExportOptions, exportFile } from "./export-file.js";

const folder = sharedFolder();
let checkpoint: string;
let network: Network;

beforeAll(async () => {
  checkpoint = join(folder, "best.safetensors");
  const config = parseConfig({ arch: "ResNet20", width: 0.25, optimizer: "BOP" });
  network = new Network({ arch: "ResNet20", width: 0.25, numClasses: 10 });
  network.initialise("kaiming_normal", 3);
  const options = { density: 0.5, iterations: 1, schedule: "linear", scope: "global" } as const;
  await prune(network, { pruner: magnitude, ...options, imageShape: [3, 32, 32] });
  const trainer = new Trainer(network, config);
  const input = scope(() => ops.randn([4, 3, 32, 32]));
  const target = Tensor.from(BigInt64Array.of(0n, 1n, 2n, 3n));
  trainer.step({ input, target }, { epoch: 0, step: 0, totalSteps: 1 });
  await writeCheckpoint(checkpoint, trainer, config, { ...BEGINNING, step: 1 });
  network.module.eval();
});
afterAll(() => {
  network.dispose();
});

const DEFAULTS: ExportOptions = { format: "pth", output: null, raw: false, force: true };
let output: string;
beforeEach(() => {
  output = join(folder, "out");
});

describe("exportFile", () => {
  it.each(["pth", "safetensors"] as const)("writes mask ⊙ weight as %s, with the same logits", async (format) => {
    const exported = await exportFile(checkpoint, { ...DEFAULTS, format });
    expect(exported.output).toBe(join(folder, `best.effective.${format}`));
    expect(exported.masked).toHaveLength(21);
    const { entries: state } = await findState(exported.output, new Set());
    expect(state.size).toBe(exported.tensors);
    const mask = network.masks().get("conv1.weight")?.toTypedArray() ?? new Uint8Array(0);
    const weight = network.module.stateDict().get("conv1.weight")?.toTypedArray() ?? new Float32Array(0);
    const entry = state.get("conv1.weight");
    const effective = entry === undefined ? [] : [...asTypedArray(entry)];
    expect(effective).toEqual([...weight].map((value, i) => Number(value) * Number(mask[i])));
    expect(effective.filter((value) => value === 0).length).toBeGreaterThan(0);

    const dense = new Network(network.options);
    await loadPretrained(dense, exported.output);
    dense.module.eval();
    scope(() => {
      const input = ops.randn([2, 3, 32, 32]);
      expect(dense.call(input).toArray()).toEqual(network.call(input).toArray());
    });
    dense.dispose();
  });

  it("writes a Seed network as the plain one that computes the same", async () => {
    const config = parseConfig({ arch: "SeedResNet18", width: 0.125, hiddenAct: "flipping" });
    const seed = new Network(networkOptions(config, 10, [3, 32, 32]));
    seed.initialise("kaiming_normal", 3);
    const path = join(folder, "seed.safetensors");
    const trainer = new Trainer(seed, config);
    await writeCheckpoint(path, trainer, config, BEGINNING);
    trainer.dispose();
    const exported = await exportFile(path, { ...DEFAULTS, output });
    const plain = new Network({ arch: "ResNet18", width: 0.125, numClasses: 10 });
    await loadPretrained(plain, exported.output);
    scope(() => {
      const input = ops.randn([2, 3, 32, 32]);
      const [expected, actual] = [seed, plain].map((one) => {
        one.module.eval();
        return one.call(input).toArray();
      });
      expect(actual).toEqual(expected);
    });
    for (const one of [seed, plain]) one.dispose();
  });

  it("counts the steps for each BatchNorm where PyTorch has the count", async () => {
    await exportFile(checkpoint, { ...DEFAULTS, output });
    const { entries: state } = await findState(output, new Set());
    const names = [...state.keys()];
    expect(names.slice(0, 6)).toEqual([
      "conv1.weight",
      ...["weight", "bias", "running_mean", "running_var", "num_batches_tracked"].map((name) => `bn1.${name}`),
    ]);
    expect(names.filter((name) => name.endsWith("num_batches_tracked"))).toHaveLength(21);
    const count = state.get("bn1.num_batches_tracked");
    expect(count).toMatchObject({ dtype: "I64", shape: [] });
    expect(count === undefined ? [] : [...asTypedArray(count)]).toEqual([1n]);
  });

  it("writes weights and masks apart when raw", async () => {
    const { output: file, tensors } = await exportFile(checkpoint, { ...DEFAULTS, format: "safetensors", raw: true });
    expect(file).toBe(join(folder, "best.raw.safetensors"));
    const [saved, own] = [readSafetensors(file).tensors, readSafetensors(checkpoint).tensors];
    expect(saved.size).toBe(tensors);
    for (const name of ["conv1.weight", "mask.conv1.weight", "linear.bias"])
      expect(saved.get(name)).toEqual(own.get(name));
    expect([...saved.keys()].filter((name) => name.startsWith("mask."))).toHaveLength(21);
    expect([...saved.keys()].filter((name) => /^(bop|sgd)\./.test(name))).toEqual([]);
  });

  it("replaces a file only when forced, and never the checkpoint itself", async () => {
    writeFileSync(output, "precious");
    await expect(exportFile(checkpoint, { ...DEFAULTS, output, force: false })).rejects.toThrow(
      "which is there already; choose another `output`, or give `force` to replace it",
    );
    expect(readFileSync(output, "utf8")).toBe("precious");
    const before = readFileSync(checkpoint);
    await expect(exportFile(checkpoint, { ...DEFAULTS, output: checkpoint })).rejects.toThrow(
      "another file than the checkpoint",
    );
    expect(readFileSync(checkpoint).equals(before)).toBe(true);
  });

  it("refuses what is no checkpoint and a place that can't be written", async () => {
    const foreign = join(folder, "foreign.pth");
    await exportFile(checkpoint, { ...DEFAULTS, output: foreign });
    await expect(exportFile(foreign, { ...DEFAULTS, output })).rejects.toThrow(UserError);
    await expect(exportFile(join(folder, "none"), { ...DEFAULTS, output })).rejects.toThrow("an existing file");
    const nowhere = join(folder, "none", "x.pth");
    await expect(exportFile(checkpoint, { ...DEFAULTS, output: nowhere })).rejects.toThrow("an existing folder");
    expect(existsSync(nowhere)).toBe(false);
  });
});
