import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { liveTensorCount, nn, scope, Tensor, UserError } from "@peekaboo/torch";
import { describe, expect, it } from "vitest";
import { sharedFolder } from "../../../tests/support/folder.js";
import {
  type Architecture,
  type BatchSource,
  buildNetwork,
  defineArchitecture,
  evaluate,
  imagesOf,
  type Network,
  openDataset,
  prune,
  pruners,
  type Reporter,
  restoreNetwork,
  saveNetwork,
  type TrainOptions,
  train,
} from "./index.js";

const bin = fileURLToPath(new URL("../bin/peekaboo.js", import.meta.url));
const folder = sharedFolder();

const Tiny: Architecture = defineArchitecture({
  name: "Tiny",
  imageShape: [3, 4, 4],
  numClasses: 3,
  build: ({ layers, channels, numClasses }) =>
    new nn.Sequential(
      layers.conv2d({ inChannels: 3, outChannels: channels(8), kernelSize: 3, padding: 1, inputSigned: true }),
      ...[new nn.BatchNorm2d(channels(8)), new nn.ReLU(), new nn.AdaptiveAvgPool2d(1), new nn.Flatten()],
      layers.linear({ inFeatures: channels(8), outFeatures: numClasses }),
    ),
});

/** Twelve random images of three classes, always the same. */
function images(count = 12): BatchSource {
  const batches = async function* (order: Int32Array, size: number) {
    for (let start = 0; start < order.length; start += size) {
      const own = order.subarray(start, start + size);
      const values = Array.from(own, (i) => Array.from({ length: 48 }, (_, k) => Math.sin(i * 48 + k)));
      yield scope(() => ({
        input: Tensor.of(values.flat()).view(own.length, 3, 4, 4),
        target: Tensor.of(Array.from(own, (i) => i % 3)).to({ dtype: "int64" }),
      }));
    }
  };
  return {
    count,
    imageShape: [3, 4, 4],
    training: (order, size) => batches(order, size),
    plain: (size, order = Int32Array.from({ length: count }, (_, i) => i)) => batches(order, size),
    dispose() {},
  };
}

const options = (more: Partial<TrainOptions> = {}): TrainOptions => ({
  data: { train: images(), test: images() },
  epochs: 2,
  batchSize: 4,
  ...more,
});

async function trained(network: Network, how: TrainOptions): Promise<number[]> {
  const losses: number[] = [];
  for await (const _ of train(network, { ...how, onStep: ({ loss }) => losses.push(loss) }));
  return losses;
}

const stateOf = (network: Network) =>
  [...network.module.stateDict(), ...network.masks()].map(([name, tensor]) => [name, tensor.toArray()] as const);

describe("buildNetwork", () => {
  it("builds each variant of a description, by the seed alone", () => {
    for (const [variant, name] of [
      ["plain", "Tiny"],
      ["psg", "PsgTiny"],
    ] as const) {
      const [one, same, other] = [0, 0, 1].map((seed) => buildNetwork(Tiny, { variant, seed }));
      expect(one?.options.arch).toBe(name);
      expect(stateOf(one as Network)).toEqual(stateOf(same as Network));
      expect(stateOf(one as Network)).not.toEqual(stateOf(other as Network));
      for (const network of [one, same, other]) network?.dispose();
    }
  });

  it("refuses a variant that the description doesn't have, and a name that isn't known", () => {
    const plain = defineArchitecture({ ...Tiny, variants: { plain: "" } });
    expect(() => buildNetwork(plain)).toThrow(/build Tiny: expected one of Tiny for the variant/);
    expect(() => buildNetwork("PsgResNet21")).toThrow(UserError);
  });
});

describe("prune", () => {
  it("takes the rounds, schedule and scope of the pruner's authors", async () => {
    const rounds: number[] = [];
    const network = buildNetwork(Tiny);
    const { kept, total } = await prune(network, {
      pruner: pruners.synFlow,
      density: 0.5,
      onRound: (done) => void rounds.push(done),
    });
    expect([kept, total, rounds.length]).toEqual([120, 240, 100]);
    network.dispose();
  });
});

describe("train", () => {
  it("gives the same numbers for the same seed, and each epoch as it ends", async () => {
    const runs: number[][] = [];
    for (const seed of [0, 0, 1]) {
      const network = buildNetwork(Tiny);
      runs.push(await trained(network, options({ seed })));
      network.dispose();
    }
    expect(runs[0]).toHaveLength(6);
    expect(runs[1]).toEqual(runs[0]);
    expect(runs[2]).not.toEqual(runs[0]);
  });

  it("leaves no tensor behind: after its end, a loop that is left, a signal and a failure", async () => {
    const start = liveTensorCount();
    const network = buildNetwork(Tiny);
    await trained(network, options());
    // Its layers have their masks of ones by now.
    const before = liveTensorCount();
    await trained(network, options());
    expect(liveTensorCount()).toBe(before);
    for await (const _ of train(network, options())) break;
    expect(liveTensorCount()).toBe(before);
    const controller = new AbortController();
    const stopped = trained(network, { ...options({ signal: controller.signal }), data: stopping(controller) });
    await expect(stopped).rejects.toThrow("enough");
    expect(liveTensorCount()).toBe(before);
    await expect(trained(network, options({ sgd: { lr: Number.NaN } }))).rejects.toThrow(UserError);
    expect(liveTensorCount()).toBe(before);
    network.dispose();
    expect(liveTensorCount()).toBe(start);
  });

  it("estimates BatchNorm's statistics for the tests, and leaves the network as it was tested", async () => {
    const told = async (bnBatches: number, epochs: number) => {
      const network = buildNetwork(Tiny);
      const losses: number[] = [];
      const tests: number[] = [];
      const before = liveTensorCount();
      for await (const { test } of train(network, {
        ...options({ epochs: 2, bnBatches }),
        onStep: ({ loss }) => losses.push(loss),
      })) {
        const again = await evaluate(network, images(), { batchSize: 4 });
        expect(again).toEqual(test);
        if (tests.push(test.loss) === epochs) break;
      }
      expect(await evaluate(network, images(), { batchSize: 4 })).toMatchObject({ loss: tests.at(-1) });
      expect(liveTensorCount() - before).toBeLessThanOrEqual(1);
      network.dispose();
      return { losses, tests };
    };
    const [own, estimated] = [await told(0, 2), await told(2, 2)];
    expect(estimated.losses).toEqual(own.losses);
    expect(estimated.tests).not.toEqual(own.tests);
    expect((await told(2, 1)).tests).toEqual(estimated.tests.slice(0, 1));
  });

  it("tells a reporter what it does, and no flag in what it says", async () => {
    const heard: string[] = [];
    const reporter: Reporter = {
      begin: (work) => void heard.push(work.kind),
      step: ({ epoch, epochStep, epochSteps }) => void heard.push(`${epoch}: ${epochStep}/${epochSteps}`),
      advance: (done) => void heard.push(`${done}`),
      end: () => void heard.push("end"),
      epoch: ({ epoch, result, best }) => void heard.push(`epoch ${epoch}, ${result.images} images, ${best}`),
      warn: (text) => void heard.push(text),
    };
    const network = buildNetwork(Tiny);
    await trained(network, { ...options({ epochs: 1, bop: { ar: 1e-3, tau: 10 } }), reporter });
    network.dispose();
    expect(heard).toEqual([
      ...["epoch", "0: 1/3", "0: 2/3", "0: 3/3"],
      "no weight flipped its sign in epoch 1: τ is too large or γ too small. Lower `bop.tau` (10 now) or raise `bop.ar` (0.001).",
      ...["end", "test", "4", "8", "12", "end", "epoch 0, 12 images, true", "end"],
    ]);
  });

  it("refuses images of another shape than the network's", async () => {
    const network = buildNetwork("PsgResNet20", { width: 0.125 });
    await expect(trained(network, options())).rejects.toThrow(
      "train PsgResNet20: expected images of 3×32×32 for the images, received 3×4×4; give buildNetwork their `imageShape`.",
    );
    network.dispose();
  });

  it("equals the command line's training, to the digit", { timeout: 180_000 }, async () => {
    const flags =
      "--arch PsgResNet20 --width 0.125 --init-method kaiming_normal --pruner SynFlow --prune-ratio 0.3 --prune-iters 100 --optimizer BOP --bs 32 --epochs 1 --train-limit 96 --test-limit 64 --threads 2 --msb-bits 8 --msb-bits-grad 16 --psg-threshold 1e-7 --psg-no-take-sign --psg-sparsify --seed 3 --label-smoothing 0.1 --bn-batches 2";
    const args = ["train", ...flags.split(" "), "--savedir", folder, "--exp-name", "cli"];
    const { status, stderr } = spawnSync(process.execPath, [bin, ...args], { encoding: "utf8" });
    expect(status, stderr).toBe(0);
    const lines = readFileSync(join(folder, "cli/metrics.jsonl"), "utf8").trim().split("\n");
    const told = lines.map((line) => JSON.parse(line) as { kind: string; loss: number });
    const of = (wanted: string) => told.filter(({ kind }) => kind === wanted).map(({ loss }) => loss);
    const network = buildNetwork("PsgResNet20", { width: 0.125, seed: 3 });
    await prune(network, { pruner: pruners.synFlow, density: 0.3 });
    const data = imagesOf(await openDataset("cifar10"), { trainLimit: 96, testLimit: 64 });
    const how = { data, epochs: 1, batchSize: 32, seed: 3, labelSmoothing: 0.1, bnBatches: 2 };
    expect(await trained(network, how)).toEqual(of("step"));
    // The command line tests all of them at once.
    expect((await evaluate(network, data.test, { batchSize: 64 })).loss).toBe(of("eval")[0]);
    for (const part of [network, data.train, data.test]) await part.dispose();
  });
});

/** Images whose third batch comes with the request to stop. */
function stopping(controller: AbortController): TrainOptions["data"] {
  const source = images();
  const training: BatchSource["training"] = async function* (...args) {
    let count = 0;
    for await (const batch of source.training(...args)) {
      if (++count === 3) controller.abort(new Error("enough"));
      yield batch;
    }
  };
  return { train: { ...source, training }, test: source };
}

describe("saveNetwork and restoreNetwork", () => {
  it("keep every bit of weights, statistics and masks", async () => {
    const path = join(folder, "tiny.safetensors");
    const network = buildNetwork(Tiny);
    await prune(network, { pruner: pruners.magnitude, density: 0.4 });
    await trained(network, options({ epochs: 1 }));
    saveNetwork(network, path);
    const other = buildNetwork(Tiny, { seed: 5 });
    restoreNetwork(other, path);
    expect(stateOf(other)).toEqual(stateOf(network));
    for (const one of [network, other]) one.dispose();
  });

  it("refuse another network's file and what is none, and leave the network as it was", () => {
    const path = join(folder, "other.safetensors");
    const [plain, network] = [buildNetwork(Tiny, { variant: "plain" }), buildNetwork(Tiny)];
    saveNetwork(plain, path);
    const before = stateOf(network);
    expect(() => restoreNetwork(network, path)).toThrow(/expected a file that saveNetwork wrote of PsgTiny .*"Tiny"/);
    const wide = buildNetwork(Tiny, { width: 2 });
    saveNetwork(wide, path);
    expect(() => restoreNetwork(network, path)).toThrow(UserError);
    writeFileSync(path, "no safetensors");
    expect(() => restoreNetwork(network, path)).toThrow(UserError);
    expect(stateOf(network)).toEqual(before);
    for (const one of [plain, network, wide]) one.dispose();
  });
});
