import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readSafetensors, writeSafetensors } from "@peekaboo/files";
import { ops, scope, Tensor, UserError } from "@peekaboo/torch";
import { afterEach, describe, expect } from "vitest";
import { it } from "../../../../tests/support/folder.js";
import { parseConfig } from "../config/config.js";
import { Network } from "../models/network.js";
import { prune } from "../pruning/loop.js";
import { magnitude } from "../pruning/pruners/magnitude.js";
import { Trainer } from "../training/trainer.js";
import { loadNetwork, restoreOptimizers, writeCheckpoint } from "./checkpoint.js";
import { readCheckpoint } from "./format.js";
import { inspectFile } from "./inspect.js";
import { BEGINNING } from "./progress.js";

let path: string;
let trainer: Trainer;
let input: Tensor;

const config = parseConfig({
  arch: "PsgResNet20",
  width: 0.25,
  seed: 4,
  optimizer: "BOP",
  pruning: { pruner: "Mag", density: 0.5 },
  psg: { takeSign: false },
});

it.beforeEach(async ({ folder }) => {
  path = join(folder, "checkpoint.safetensors");
  const { arch, width, psg } = config;
  const network = new Network({ arch, width, psg, numClasses: 10 });
  network.initialise("kaiming_normal", 4);
  await prune(network, { pruner: magnitude, density: 0.5, imageShape: [3, 16, 16] });
  trainer = new Trainer(network, config);
  input = ops.randn([4, 3, 16, 16]);
  const target = Tensor.from(BigInt64Array.of(0n, 1n, 2n, 3n));
  trainer.step({ input, target }, { epoch: 0, step: 0, totalSteps: 1 });
  await writeCheckpoint(path, trainer, config, { ...BEGINNING, epoch: 1, step: 1, bestAccuracy: 12.5 });
});

afterEach(() => {
  trainer.dispose();
  trainer.network.dispose();
});

describe("a checkpoint", () => {
  it("gives back a network with the same logits", () => {
    const { network, config: saved } = loadNetwork(path);
    expect(saved).toEqual(config);
    trainer.network.module.eval();
    scope(() => expect(network.call(input).toArray()).toEqual(trainer.network.call(input).toArray()));
    network.dispose();
  });

  it("holds masks, momenta and flip counts beside the state", () => {
    const { tensors, metadata } = readSafetensors(path);
    const kinds = new Set(
      [...tensors.keys()].map((name) => /^(mask|bop\.momentum|bop\.flips|sgd\.momentum)\./.exec(name)?.[1]),
    );
    expect(kinds).toEqual(new Set([undefined, "mask", "bop.momentum", "bop.flips", "sgd.momentum"]));
    expect(JSON.parse(metadata.progress ?? "")).toEqual({ ...BEGINNING, epoch: 1, step: 1, bestAccuracy: 12.5 });
    expect(tensors.get("mask.conv1.weight")?.dtype).toBe("U8");
  });

  it.each(["BOP", "BOP2"] as const)(
    "gives %s and SGD their state back, to go on as if nothing had happened",
    async (optimizer) => {
      // With bias correction the step count matters too, which only the state tells.
      const settings = { ...config, optimizer, bop: { ...config.bop, ar: 0.1, tau: optimizer === "BOP" ? 1e-5 : 0.3 } };
      const saved = { ...settings, bop2: { ...config.bop2, biasCorrection: true } };
      const target = Tensor.from(BigInt64Array.of(0n, 1n, 2n, 3n));
      const first = new Trainer(trainer.network, saved);
      for (let step = 0; step < 3; step++) first.step({ input, target }, { epoch: 0, step, totalSteps: 6 });
      await writeCheckpoint(path, first, saved, { ...BEGINNING, step: 3 });
      const { network } = loadNetwork(path);
      network.module.train();
      const second = new Trainer(network, saved);
      restoreOptimizers(second, readCheckpoint(path));
      const results = [first, second].map((one) =>
        [3, 4, 5].map((step) => one.step({ input, target }, { epoch: 0, step, totalSteps: 6 })),
      );
      expect(results[1]).toEqual(results[0]);
      expect(results[0]?.some(({ flips }) => flips > 0)).toBe(true);
      const states = [first, second].map(({ bop, sgd }) => [
        [...(bop?.stateDict() ?? [])].map(([name, state]) => [
          name,
          Object.entries(state).map(([kind, tensor]) => [kind, tensor.toArray()]),
        ]),
        [...sgd.stateDict().tensors].map(([name, tensor]) => [name, tensor.toArray()]),
      ]);
      expect(states[1]).toEqual(states[0]);
      expect(inspectFile(path).flips).toBeGreaterThan(0);
      for (const thing of [first, second, network]) thing.dispose();
    },
  );

  it("gives no optimiser another one's state", () => {
    const { network } = trainer;
    const others = (["SGD", "BOP2"] as const).map((optimizer) => new Trainer(network, { ...config, optimizer }));
    const [sgd, bop2] = others;
    if (sgd === undefined || bop2 === undefined) throw new TypeError("two trainers");
    expect(() => restoreOptimizers(sgd, readCheckpoint(path))).toThrow("expected a run of the optimiser SGD");
    expect(() => restoreOptimizers(bop2, readCheckpoint(path))).toThrow(/for variance\.\S+, received nothing/);
    expect(bop2.bop?.stateDict().size).toBe(0);
    for (const one of others) one.dispose();
  });

  it("is what inspect reports", () => {
    const report = inspectFile(path);
    expect(report.config.arch).toBe("PsgResNet20");
    expect(report.progress).toEqual({ epoch: 1, step: 1, bestAccuracy: 12.5 });
    expect(report.kept).toBe(report.total - Math.floor(report.total / 2));
    expect(report.layers).toHaveLength(21);
  });

  it("is refused when it is cut, belongs to another architecture, or is no checkpoint", ({ folder }) => {
    const whole = readFileSync(path);
    const cut = join(folder, "cut.safetensors");
    writeFileSync(cut, whole.subarray(0, whole.length - 100));
    expect(() => loadNetwork(cut)).toThrow(UserError);

    const { tensors, metadata: written } = readSafetensors(path);
    const { checksum: _, checksums: __, ...metadata } = written;
    const other = join(folder, "other.safetensors");
    const renamed = { ...metadata, config: JSON.stringify({ ...config, arch: "PsgResNet18" }) };
    writeSafetensors(other, tensors, renamed);
    expect(() => loadNetwork(other)).toThrow(
      /expected the network's own names and shapes .* 25 missing \(layer4.0.conv1.weight, .* of another shape \(conv1.weight \[4,3,3,3\] instead of \[16,3,3,3\]/,
    );

    const outputs = join(folder, "outputs.safetensors");
    writeSafetensors(outputs, tensors, { ...metadata, numClasses: String(2 ** 45) });
    expect(() => loadNetwork(outputs)).toThrow("a network with 35184372088832 outputs, as it says");

    const masked = join(folder, "masked.safetensors");
    const odd = { dtype: "U8", shape: [2, 1], data: Uint8Array.of(1, 0) } as const;
    writeSafetensors(masked, [...tensors, ["mask.conv9.weight", odd]], metadata);
    expect(() => loadNetwork(masked)).toThrow("received 1 unexpected (conv9.weight)");
    const three = { dtype: "U8", shape: [4, 3, 3, 3], data: new Uint8Array(108).fill(3) } as const;
    writeSafetensors(masked, new Map([...tensors, ["mask.conv1.weight", three]]), metadata);
    expect(() => loadNetwork(masked)).toThrow(/expected 0 or 1 everywhere in mask.conv1.weight .* received 3/);

    const foreign = join(folder, "foreign.safetensors");
    writeSafetensors(foreign, tensors, {});
    expect(() => loadNetwork(foreign)).toThrow("expected the mark peekaboo-checkpoint/1");
    expect(() => loadNetwork(join(folder, "absent.safetensors"))).toThrow(UserError);
  });
});
