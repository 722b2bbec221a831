import { PassThrough } from "node:stream";
import { DistributedError, TorchError } from "@peekaboo/torch/errors";
import { beforeEach, describe, expect, vi } from "vitest";
import { it } from "../../../../tests/support/folder.js";
import { parseConfig, type TrainConfig } from "../config/config.js";
import { trainOptions } from "../config/options.js";
import { optionsOf } from "../config/table.js";
import { Interrupted } from "../console/interrupt.js";
import { main } from "./main.js";

const runTrain = vi.hoisted(() =>
  vi.fn<(config: TrainConfig, io: unknown, options: { argv: readonly string[] }) => Promise<number>>(),
);
vi.mock("./run-train.js", () => ({ runTrain }));
const evaluateFile = vi.hoisted(() => vi.fn());
vi.mock("../commands/evaluate-file.js", () => ({ evaluateFile }));

/** Runs the command line and collects what it prints. */
async function peekaboo(...argv: string[]): Promise<{ status: number; stdout: string; stderr: string }> {
  const io = { stdout: new PassThrough(), stderr: new PassThrough() };
  const status = await main(argv, io);
  const text = (stream: PassThrough) => String(stream.read() ?? "");
  return { status, stdout: text(io.stdout), stderr: text(io.stderr) };
}

/** The configuration that `peekaboo train FLAGS` would run, and the notes it prints. */
async function trained(flags: string): Promise<{ config: TrainConfig; notes: string }> {
  const { status, stderr } = await peekaboo("train", ...flags.split(/\s+/).filter((word) => word !== ""));
  expect(status, stderr).toBe(0);
  const config = runTrain.mock.lastCall?.[0];
  if (config === undefined) throw new Error("nothing was run");
  return { config, notes: stderr };
}

/** The sentence with which a command line is refused, before anything runs. */
async function refused(...argv: string[]): Promise<string> {
  const { status, stdout, stderr } = await peekaboo(...argv);
  expect(status).toBe(2);
  expect(stdout).toBe("");
  expect(stderr).toMatch(/^[^\n]+\n$/);
  expect(runTrain).not.toHaveBeenCalled();
  return stderr.trimEnd();
}

beforeEach(() => {
  runTrain.mockReset();
  runTrain.mockResolvedValue(0);
});

describe("peekaboo train", () => {
  it("understands the original's CIFAR command line", async () => {
    const { config, notes } = await trained(`
      --arch PsgResNet18 --init-method kaiming_normal --optimizer BOP --ar 1e-3 --tau 1e-6 --ar-decay-freq 45
      --ar-decay-ratio 0.15 --epochs 180 --pruner SynFlow --prune-epoch 0 --prune-ratio 3e-1 --prune-iters 100
      --msb-bits 8 --msb-bits-weight 8 --msb-bits-grad 16 --psg-threshold 1e-7 --psg-no-take-sign --psg-sparsify
      --exp-name cifar10_resnet18_pab-psg`);
    expect(notes).toBe("");
    expect(config).toEqual(
      parseConfig({
        arch: "PsgResNet18",
        initMethod: "kaiming_normal",
        epochs: 180,
        optimizer: "BOP",
        bop: { ar: 1e-3, tau: 1e-6, arDecayFreq: 45, arDecayRatio: 0.15 },
        psg: {
          msbBits: 8,
          msbBitsWeight: 8,
          msbBitsGrad: 16,
          threshold: { mode: "relative", value: 1e-7 },
          sparsify: true,
          takeSign: false,
        },
        pruning: { pruner: "SynFlow", density: 0.3, epoch: 0, iterations: 100 },
        expName: "cifar10_resnet18_pab-psg",
      }),
    );
  });

  it("understands every other flag", async () => {
    const { config, notes } = await trained(`
      --dataset CIFAR10 --lr 0.2 --momentum 0 --weight-decay 1e-4 --batch-size 64 --milestones 3,5 --savedir out
      --lr-schedule linear --lr-final 1e-3 --ar-schedule cosine --ar-final 5e-4 --optimizer bop --arch PsgResNet20
      --psg-no-backward --psg-threshold-mode absolute --pruner mag --density 0.5 --prune-batch-size 32
      --prune-schedule linear --prune-scope local --prune-epoch 4 --prune-shots 2 --prune-verbose --mask-shuffle --seed 3
      --use-cuda 1 --width 0.25 --max-steps 9 --train-limit 1000 --test-limit 500 --threads 2 --device cuda
      --data-folder here --json --resume never --checkpoint-every 90s --keep 3 --on-nan skip-batch
      --bn-batches 20 --label-smoothing 0.1`);
    expect(notes).toBe("");
    expect(config).toMatchObject({
      dataset: "cifar10",
      onNan: "skip-batch",
      bnBatches: 20,
      labelSmoothing: 0.1,
      sgd: { lr: 0.2, momentum: 0, weightDecay: 1e-4, lrSchedule: "linear", milestones: [3, 5], lrFinal: 1e-3 },
      bop: { arSchedule: "cosine", arFinal: 5e-4 },
      psg: { backward: false, threshold: { mode: "absolute", value: 0 } },
      pruning: {
        pruner: "Mag",
        density: 0.5,
        batchSize: 32,
        schedule: "linear",
        scope: "local",
        epoch: 4,
        shots: 2,
        maskShuffle: true,
        verbose: true,
      },
      batchSize: 64,
      savedir: "out",
      optimizer: "BOP",
      seed: 3,
      useCuda: 1,
      device: "cuda:0",
      width: 0.25,
      maxSteps: 9,
      trainLimit: 1000,
      testLimit: 500,
      threads: 2,
      dataFolder: "here",
      json: true,
    });
  });

  it("understands second-order Bop and the rates of single layers", async () => {
    const { config, notes } = await trained(`
      --optimizer bop2 --bop2-sigma 1e-2 --bop2-eps 1e-8 --bop2-bias-correction --ar 1e-2 --tau 0.1
      --ar-layers layer1.*=1e-4,conv1.weight=5e-4 --tau-layers *=0.2`);
    expect(notes).toBe("");
    expect(config).toMatchObject({
      optimizer: "BOP2",
      bop: {
        ar: 1e-2,
        tau: 0.1,
        arLayers: [
          { pattern: "layer1.*", value: 1e-4 },
          { pattern: "conv1.weight", value: 5e-4 },
        ],
        tauLayers: [{ pattern: "*", value: 0.2 }],
      },
      bop2: { sigma: 1e-2, eps: 1e-8, biasCorrection: true },
    });
    expect(parseConfig(JSON.parse(JSON.stringify(config)))).toEqual(config);
  });

  it.each([
    ["--psg-threshold", "-5e-7"],
    ["--psg-threshold", " -5e-7"],
    ["--psg-threshold=-5e-7"],
    ["--psg-threshold", "5e-7"],
  ])("reads the threshold %j %j as its magnitude", async (...flags) => {
    expect((await peekaboo("train", "--arch", "PsgResNet18", ...flags)).status).toBe(0);
    expect(runTrain.mock.lastCall?.[0].psg.threshold).toEqual({ mode: "relative", value: 5e-7 });
  });

  it("lets the last of a repeated flag count, an alias included", async () => {
    const { config } = await trained("--bs 32 --batch-size 64 --bs 16");
    expect(config.batchSize).toBe(16);
  });

  it("takes a data set's name in any spelling, and an archive that holds it", async () => {
    const { config } = await trained("--dataset Fashion-MNIST --data mine.tgz");
    expect([config.dataset, config.data, config.grey]).toEqual(["fashionmnist", "mine.tgz", "rgb"]);
    expect((await trained("--dataset CIFAR-100")).config.dataset).toBe("cifar100");
  });

  it("suggests the nearest data set for an unknown one", async () => {
    expect(await refused("train", "--dataset", "mnst")).toContain('received "mnst"; did you mean mnist?');
  });

  it("joins the trackers of several --log, and refuses one that it doesn't know", async () => {
    expect((await trained("--log csv --log tensorboard")).config.log).toEqual(["tensorboard", "csv"]);
    expect((await trained("--log tensorboard,csv --log csv")).config.log).toEqual(["tensorboard", "csv"]);
    expect((await trained("")).config.log).toEqual([]);
    runTrain.mockClear();
    expect(await refused("train", "--log", "csv,tensorbord")).toBe(
      'train: expected any of tensorboard, csv, with commas between for --log, received "csv,tensorbord"; did you mean tensorboard?',
    );
  });

  it("accepts the original's unused flags with a note each", async () => {
    const { notes } = await trained("--tsbdir runs --bop-threshold-scale 0.1 --scaled-mag-quantile 0.5");
    expect(notes.trimEnd().split("\n")).toEqual([
      "Note: --tsbdir is ignored: the run's figures go to its folder, by --log tensorboard into event files, too.",
      "Note: --bop-threshold-scale is ignored: the reference never uses it.",
      "Note: --scaled-mag-quantile is ignored: the reference never uses it.",
    ]);
  });

  it("notes flags that this run makes no use of", async () => {
    const { notes } = await trained("--prune-ratio 0.3 --ar 1e-2 --psg-sparsify");
    expect(notes).toContain("--prune-ratio: no effect");
    expect(notes).toContain("--ar: no effect");
    expect(notes).toContain("--psg-sparsify: no effect");
    expect((await trained("--grey single")).notes).toContain("--grey: no effect, since cifar10's images are in colour");
    expect((await trained("--dataset mnist --grey single")).notes).toBe("");
  });

  it.each([
    ["--prune-ratio", "0", "above 0 and at most 1"],
    ["--prune-ratio", "1.1", "above 0 and at most 1"],
    ["--density", "-0.3", "--prune-ratio/--density"],
    ["--tau", "-1e-6", "of at least 0"],
    ["--ar", "0", "above 0 and below 1"],
    ["--ar", "1", "above 0 and below 1"],
    ["--ar-layers", "layer1.*=1", "each value a number above 0 and below 1"],
    ["--ar-layers", "layer1.*", "NAME=VALUE with commas between"],
    ["--tau-layers", "layer1.*=-1", "each value a number of at least 0"],
    ["--bop2-sigma", "1", "above 0 and below 1"],
    ["--bop2-eps", "0", "a number above 0"],
    ["--msb-bits", "0", "an integer from 1 to 32"],
    ["--msb-bits-grad", "33", "an integer from 1 to 32"],
    ["--msb-bits-weight", "7.5", "an integer from 1 to 32"],
    ["--epochs", "0", "an integer of at least 1"],
    ["--bs", "-1", "--bs/--batch-size"],
    ["--epochs", "1e", 'received "1e"'],
    ["--lr", "abc", 'received "abc"'],
    ["--lr", "NaN", 'received "NaN"'],
    ["--lr", "", 'received ""'],
    ["--lr", "--epochs", 'received "--epochs"'],
    ["--milestones", "120,80", "ascending positive integers"],
    ["--exp-name", "--json", "--exp-name"],
    ["--pruner", "SynFow", "did you mean SynFlow?"],
    ["--optimizer", "SDG", "did you mean SGD?"],
    ["--init-method", "kaiming-normal", "did you mean kaiming_normal?"],
    ["--device", "gpu", "cpu or cuda:N"],
    ["--seed", "-1", "an integer of at least 0"],
    ["--arch", "PsgResNet19", "did you mean PsgResNet18?"],
    ["--epohcs", "3", "unknown flag --epohcs; did you mean --epochs?"],
    ["--prune-s", "3", "--prune-s is the beginning of several flags: --prune-shots, --prune-schedule, --prune-scope;"],
    ["--seed", "9007199254740992", "the largest is 9007199254740991"],
    ["--seed", "1e20", "the largest is 9007199254740991"],
    ["--max-steps", "1e300", "the largest is 9007199254740991"],
    ["--milestones", "3,1e17", "the largest is 9007199254740991"],
    ["--seed", "1.5", "an integer of at least 0"],
    ["--seed", "0x10", "an integer of at least 0"],
    ["--exp-name", ".", "the name of one folder"],
    ["--exp-name", "..", "the name of one folder"],
    ["--exp-name", "a/b", "the name of one folder"],
    ["--exp-name", "/a", "the name of one folder"],
    ["--exp-name", "", "the name of one folder"],
    ["--exp-name", "é".repeat(128), "at most 255 bytes"],
    ["--savedir", "", "--savedir"],
    ["--prune-ration=0.3", "--json", "unknown flag --prune-ration; did you mean --prune-ratio?"],
    ["--learning-rate", "3", "unknown flag --learning-rate; see `peekaboo train --help`."],
  ])("refuses %s %j", async (flag, value, words) => {
    expect(await refused("train", flag, value)).toContain(words);
  });

  it("takes flags' beginnings, and passes them on in full", async () => {
    const { config } = await trained(
      "--prune-rat 0.25 --prune-it=7 --pruner Mag --tsb x --psg-no-t --arch PsgResNet18",
    );
    expect(config.pruning).toMatchObject({ density: 0.25, iterations: 7 });
    expect(config.psg.takeSign).toBe(false);
    expect(runTrain.mock.lastCall?.[2]?.argv).toEqual(
      "train --prune-ratio 0.25 --prune-iters=7 --pruner Mag --tsbdir x --psg-no-take-sign --arch PsgResNet18".split(
        " ",
      ),
    );
    expect((await peekaboo("models", "--js", "ResNet20")).stdout).toMatch(/^\{/);
  });

  it("refuses a flag without its value, and arguments that belong to none", async () => {
    expect(await refused("train", "--lr")).toBe("peekaboo train: option '--lr <rate>' argument missing.");
    expect(await refused("train", "--milestones", "80,", "120")).toContain("--milestones");
    expect(await refused("train", "images", "x")).toBe('peekaboo train: unexpected "x"; see `peekaboo train --help`.');
  });
});

describe("the exit status", () => {
  it("is 0 for help and the version, on stdout", async () => {
    for (const argv of [[], ["--help"], ["-h"], ["help"], ["train", "--help"], ["help", "train"], ["data", "--help"]]) {
      const { status, stdout, stderr } = await peekaboo(...argv);
      expect([status, stderr]).toEqual([0, ""]);
      expect(stdout).toContain("Usage: peekaboo");
    }
    expect(await peekaboo("--version")).toEqual({ status: 0, stdout: "0.1.0\n", stderr: "" });
  });

  it("is 2 for an unknown command or a missing argument", async () => {
    expect(await refused("trian")).toBe("peekaboo: unknown command trian; did you mean train?");
    expect(await refused("frobnicate")).toBe("peekaboo: unknown command frobnicate; see `peekaboo --help`.");
    expect(await refused("--jsn")).toContain("peekaboo: unknown flag --jsn");
    expect(await refused("inspect")).toBe("peekaboo inspect: missing required argument 'file'.");
    expect(await refused("evaluate", "a", "b")).toContain('unexpected "b"');
    expect(await refused("inspect", "no-such-file.safetensors")).toContain("no-such-file.safetensors");
    expect(await refused("data", "cifar11")).toContain("cifar10");
    expect(await refused("data", "list", "x")).toContain('unexpected "x"');
  });

  it("is 1 for a fault of ours, whose stack is told", async () => {
    runTrain.mockRejectedValue(new TypeError("x is not a function"));
    const { status, stderr } = await peekaboo("train");
    expect(status).toBe(1);
    expect(stderr).toContain("should not have happened");
    expect(stderr).toContain("TypeError: x is not a function\n    at ");
  });

  it("is 2 when memory runs out, which one sentence tells", async () => {
    const text = "can't allocate memory: you tried to allocate 64 bytes, in aten::ones(size=[16])";
    runTrain.mockRejectedValueOnce(new TorchError("memory", "aten::ones", undefined, text));
    const stderr =
      "peekaboo: there is not enough memory: aten::ones could not get 64 bytes; free some, raise its limit, or lower --width.\n";
    expect(await peekaboo("train")).toEqual({ status: 2, stdout: "", stderr });
    evaluateFile.mockRejectedValueOnce(new TorchError("memory", "aten::ones", undefined, text));
    expect((await peekaboo("evaluate", "x", "--engine", "torch")).stderr).toMatch(/raise its limit, or lower --bs\.$/m);
  });

  it("is 1 when another process is lost, which one sentence tells", async () => {
    runTrain.mockRejectedValueOnce(new DistributedError("allReduce", "rank 1 is gone", [1]));
    expect(await peekaboo("train")).toEqual({ status: 1, stdout: "", stderr: "allReduce: rank 1 is gone.\n" });
  });

  it("is the run's own when a signal stopped it", async () => {
    runTrain.mockResolvedValueOnce(130);
    expect(await peekaboo("train")).toEqual({ status: 130, stdout: "", stderr: "" });
    runTrain.mockRejectedValueOnce(new Interrupted("SIGTERM"));
    expect(await peekaboo("train")).toEqual({ status: 143, stdout: "", stderr: "" });
  });
});

describe("help", () => {
  it("shows each flag of training under a heading, with its sentence and its default", async () => {
    const { stdout } = await peekaboo("train", "--help");
    const flat = stdout.replace(/\s+/g, " ");
    for (const option of optionsOf(trainOptions)) {
      expect(flat).toContain(option.flags);
      expect(flat).toContain(option.help);
      if (option.default !== false && option.default !== true) {
        expect(flat).toContain(`(default: ${option.defaultText ?? option.default})`);
      }
    }
    expect(flat).toContain("--bs, --batch-size <n> Images per training step. (default: 128)");
    expect(flat).toContain(
      "weights stay: ERK, GraSP, Mag, Rand, SNIP or SynFlow. ERK stands for Rand with --prune-scope erk",
    );
    for (const heading of ["Network:", "Pruning:", "Run:"]) expect(stdout).toContain(`\n${heading}\n`);
    expect(stdout).toContain("Density: the fraction of weights kept.");
  });

  it("shows an example that the command itself accepts", async () => {
    for (const argv of [["--help"], ["train", "--help"]]) {
      const { stdout } = await peekaboo(...argv);
      const example = stdout.replaceAll("\\\n", " ").match(/\$ peekaboo train (.*)/)?.[1] ?? "";
      expect(example).toContain("--pruner SynFlow");
      expect((await trained(example)).notes).toBe("");
    }
  });
});

describe("peekaboo train with latent scores", () => {
  it("takes edge-popup's density from --prune-ratio, and its own JSON back", async () => {
    const { config, notes } = await trained("--arch SeedResNet20 --hidden-act edge-popup --prune-ratio 0.3");
    expect(config).toMatchObject({ hiddenAct: "edge-popup", hiddenDensity: 0.3, pruning: null });
    expect(parseConfig(JSON.parse(JSON.stringify(config)))).toEqual(config);
    expect(notes).toBe("");
  });

  it.each([
    ["--arch SeedResNet20", /expected what SeedResNet20's latent scores do for --hidden-act, received none given/],
    [
      "--arch PsgSeedResNet20 --hidden-act ternary",
      /expected flipping, which is PsgSeedResNet20's own for --hidden-act/,
    ],
    ["--arch SeedVGG11 --hidden-act edge-popup", /expected a fraction below 1 for edge-popup .* for --prune-ratio/],
    [
      "--arch SeedVGG11 --hidden-act edge-popup --prune-ratio 0.3 --pruner Mag",
      /expected none beside --hidden-act edge-popup/,
    ],
    ["--arch SeedVGG11 --hidden-act popup", /expected one of pruning, flipping, ternary, none, edge-popup/],
  ])("refuses %s", async (flags, sentence) => {
    expect(await refused("train", ...flags.split(" "))).toMatch(sentence);
  });

  it("says which flags have no effect", async () => {
    const { notes } = await trained("--arch ResNet20 --hidden-act ternary --scaling-input --dropout 0.3");
    expect(notes).toContain("--hidden-act, --scaling-input: no effect, since ResNet20 is not a Seed network.");
    expect(notes).toContain("--dropout: no effect, since ResNet20 has no dropout.");
  });

  it("takes fast convolutions, which a GPU doesn't have", async () => {
    const { config, notes } = await trained("--arch ResNet20 --conv fast");
    expect([config, notes]).toMatchObject([{ conv: "fast" }, ""]);
    const onGpu = await trained("--arch ResNet20 --conv fast --device cuda");
    expect(onGpu.notes).toContain("--conv: no effect, since it is for the CPU.");
  });
});

describe("peekaboo models", () => {
  it("lists a network's layers", async () => {
    const { status, stdout } = await peekaboo("models", "PsgConv4", "--image-size", "8", "--classes", "7");
    expect(status).toBe(0);
    expect(stdout).toMatch(
      /^PsgConv4: 3×8×8 images, 7 classes; 459,968 parameters, 458,176 of them prunable \(99\.6 %\)/,
    );
    expect(stdout).toMatch(/^linear\.6\.weight +7×256×1×1 +1,792 +1\.8k +yes$/m);
  });

  it("is JSON on demand", async () => {
    const { stdout } = await peekaboo("models", "resnet18", "--json");
    expect(JSON.parse(stdout)).toMatchObject({ name: "resnet18", parameters: 11_689_512, prunable: 11_506_880 });
  });

  it("answers an unknown name with the nearest", async () => {
    expect(await refused("models", "VGG12")).toMatch(/received "VGG12"; did you mean VGG1[13]\?/);
  });
});

describe("peekaboo evaluate", () => {
  const result = { file: "f", arch: "ResNet20", dataset: "cifar10", images: 10_000, accuracy: 55.666, loss: 1.23456 };

  it("prints accuracy and loss", async () => {
    evaluateFile.mockResolvedValue(result);
    const { status, stdout } = await peekaboo("evaluate", "f", "--engine", "torch", "--bs", "500", "--threads", "1");
    expect(status).toBe(0);
    expect(stdout).toBe("ResNet20 on 10,000 test images of cifar10: accuracy 55.67 %, loss 1.2346\n");
    expect(evaluateFile.mock.lastCall?.slice(0, 2)).toEqual([
      "f",
      {
        engine: "torch",
        arch: null,
        workers: null,
        onBadImage: "fail",
        data: null,
        dataFolder: null,
        testLimit: null,
        batchSize: 500,
        device: null,
        useCuda: null,
        threads: 1,
        json: false,
      },
    ]);
  });

  it("prints all as JSON on demand", async () => {
    evaluateFile.mockResolvedValue(result);
    expect(JSON.parse((await peekaboo("evaluate", "--json", "f", "--engine", "torch")).stdout)).toEqual(result);
  });
});

describe("peekaboo data list", () => {
  it.for(["data list", "data"])("tells what is missing and how to get it: %s", async (command, { folder }) => {
    const { status, stdout } = await peekaboo(...command.split(" "), "--data-folder", folder);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^cifar10 +CIFAR-10 +10 +50,000 +10,000 +- +not fetched: peekaboo data cifar10$/m);
  });

  it("is JSON on demand", async ({ folder }) => {
    const { stdout } = await peekaboo("data", "list", "--json", "--data-folder", folder);
    expect(JSON.parse(stdout)).toMatchObject([
      { name: "cifar10", classes: 10, train: 50_000, test: 10_000 },
      { name: "cifar100", classes: 100, train: 50_000, test: 10_000 },
      { name: "mnist", classes: 10, train: 60_000, test: 10_000 },
      { name: "fashionmnist", classes: 10, train: 60_000, test: 10_000 },
    ]);
  });
});

describe("peekaboo sweep and report", () => {
  it.each([
    [["sweep"], /^sweep: expected a STUDY, or flags with several values .* received neither/],
    [
      ["sweep", "--seed", "0..x"],
      /^sweep: expected an integer of at least 0, or several with commas between for --seed/,
    ],
    [["sweep", "--pruner", "SynFlow,SNPI"], /received "SynFlow,SNPI"; did you mean SNIP\?$/],
    [["sweep", "--exp-name", "x"], /^peekaboo sweep: unknown flag --exp-name/],
    [["sweep", "--nproc-per-node", "2"], /^peekaboo sweep: unknown flag --nproc-per-node/],
    [["sweep", "--arch", "ResNet81", "--seed", "0..1"], /^read the study: .*did you mean ResNet/],
    [["sweep", "nowhere.json"], /^read the study: expected an existing file/],
    [["report"], /^peekaboo report: missing required argument 'folders'\.$/],
  ])("refuses %j in one sentence", async (argv, words) => {
    expect(await refused(...argv)).toMatch(words);
  });
});
