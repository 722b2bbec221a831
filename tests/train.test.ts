// The real command line on real CIFAR-10, a few steps long.
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { readSafetensors } from "@peekaboo/files";
import { beforeAll, describe, expect, it } from "vitest";
import { bin, type Ended, peekaboo } from "./support/cli.js";
import { sharedFolder } from "./support/folder.js";

const folder = sharedFolder();

/** The original's command for CIFAR-10, as its README has it, but for the architecture's size. */
const RECIPE =
  "--use-cuda 0 --arch PsgResNet20 --init-method kaiming_normal --optimizer BOP --ar 1e-3 --tau 1e-6 --ar-decay-freq 45 --ar-decay-ratio 0.15 --epochs 180 --pruner SynFlow --prune-epoch 0 --prune-ratio 3e-1 --prune-iters 5 --msb-bits 8 --msb-bits-weight 8 --msb-bits-grad 16 --psg-threshold 1e-7 --psg-no-take-sign --psg-sparsify".split(
    " ",
  );
const SMALL = "--width 0.5 --bs 32 --train-limit 96 --test-limit 100 --max-steps 5".split(" ");

interface Line {
  kind: string;
  [field: string]: unknown;
}

function metricsOf(run: string): Line[] {
  return readFileSync(join(folder, run, "metrics.jsonl"), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);
}

const train = (name: string, ...flags: readonly string[]) =>
  peekaboo("train", ...flags, "--savedir", folder, "--exp-name", name);

describe("peekaboo train", () => {
  let whole: Ended;
  beforeAll(() => {
    whole = train("whole", ...RECIPE, ...SMALL, "--json");
  });

  it("runs the original's command line and writes the run's files", () => {
    const { status, stdout, stderr } = whole;
    expect(stderr).not.toContain("Error");
    expect(status).toBe(0);
    const summary = JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as Record<string, unknown>;
    expect(summary).toMatchObject({ arch: "PsgResNet20", steps: 5, testImages: 100, kept: 20302, total: 67672 });
    for (const key of ["checkpoint", "best", "metrics", "picture"]) expect(existsSync(String(summary[key]))).toBe(true);
    expect(readFileSync(String(summary.picture), "utf8")).toContain("<svg");

    const lines = metricsOf("whole");
    expect(lines.map(({ kind }) => kind)).toEqual([
      "prune",
      "step",
      "step",
      "step",
      "epoch",
      "flips",
      "eval",
      "step",
      "step",
      "epoch",
      "flips",
      "eval",
    ]);
    expect(lines.filter(({ kind }) => kind === "step").map(({ epoch, step }) => [epoch, step])).toEqual([
      [0, 1],
      [0, 2],
      [0, 3],
      [1, 4],
      [1, 5],
    ]);
    expect(lines.at(-1)?.accuracy).toBe(summary.accuracy);
    const config = JSON.parse(readFileSync(join(folder, "whole", "config.json"), "utf8")) as Record<string, unknown>;
    expect(config).toMatchObject({ arch: "PsgResNet20", epochs: 180, maxSteps: 5, seed: 0 });
  });

  it("gives the same losses and the same bytes for the same seed", () => {
    expect(train("again", ...RECIPE, ...SMALL).status).toBe(0);
    const steps = (name: string) =>
      metricsOf(name).flatMap(({ kind, loss, flips }) => (kind === "step" ? [[loss, flips]] : []));
    expect(steps("again")).toEqual(steps("whole"));
    const tensors = (name: string) => readSafetensors(join(folder, name, "checkpoint.safetensors")).tensors;
    for (const [name, { data }] of tensors("whole"))
      expect(Buffer.compare(data, tensors("again").get(name)?.data ?? Buffer.alloc(0)), name).toBe(0);
    expect(steps("whole")).toHaveLength(5);
  });

  it("tests the checkpoint to the accuracy that training reported", () => {
    const file = join(folder, "whole", "checkpoint.safetensors");
    const { status, stdout } = peekaboo("evaluate", file, "--json", "--test-limit", "100");
    expect(status).toBe(0);
    const result = JSON.parse(stdout) as Record<string, number>;
    const trained = metricsOf("whole").at(-1);
    expect(result.accuracy).toBe(trained?.accuracy);
    expect(result.loss).toBeCloseTo(Number(trained?.loss), 5);
    const inspected = peekaboo("inspect", file);
    expect(inspected.status).toBe(0);
    expect(inspected.stdout).toContain("PsgResNet20");
  });

  it("trains densely with SGD, without masks or flips", () => {
    const { status, stdout } = train("dense", ...SMALL, ..."--arch ResNet20 --optimizer SGD --json".split(" "));
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ flips: 0, density: 1 });
  });

  it("saves and exits 130 on Ctrl-C", async () => {
    const more = ["--bs", "16", "--train-limit", "4000", "--savedir", folder, "--exp-name", "stopped"];
    const child = spawn(process.execPath, [bin, "train", ...RECIPE, ...more], { stdio: ["ignore", "ignore", "pipe"] });
    let told = "";
    let signalled = false;
    child.stderr.on("data", (chunk) => {
      told += chunk;
      if (signalled || !told.includes("epoch 1/")) return;
      signalled = true;
      child.kill("SIGINT");
    });
    const status = await new Promise((resolve) => child.on("close", resolve));
    expect(status).toBe(130);
    expect(told).not.toMatch(/at .*\.js:\d+/);
    const { progress } = JSON.parse(
      peekaboo("inspect", join(folder, "stopped", "checkpoint.safetensors"), "--json").stdout,
    );
    expect(progress.step).toBe(metricsOf("stopped").filter(({ kind }) => kind === "step").length);
  });

  it("stops with one sentence and status 2 when the loss is not finite, the checkpoint intact", () => {
    const { status, stderr } = train("nan", ...SMALL, ..."--arch ResNet20 --optimizer SGD --lr 1e30".split(" "));
    expect(status).toBe(2);
    expect(stderr).toMatch(/train: expected a finite number for the loss of step \d+/);
    expect(stderr).not.toMatch(/at .*\.js:\d+/);
    expect(peekaboo("inspect", join(folder, "nan", "checkpoint.safetensors")).status).toBe(0);
  });
});

describe("bad input", () => {
  const cases: [what: string, args: string[], told: RegExp][] = [
    ["an unknown flag", ["train", "--prune-ration", "0.3"], /--prune-ratio/],
    ["an unknown architecture", ["train", "--arch", "PsgResnet18"], /did you mean PsgResNet18/],
    ["a density of 0", ["train", "--pruner", "Mag", "--prune-ratio", "0"], /--prune-ratio/],
    ["a density above 1", ["train", "--pruner", "Mag", "--prune-ratio", "1.5"], /--prune-ratio/],
    ["τ below 0", ["train", "--optimizer", "BOP", "--tau", "-1"], /--tau/],
    ["γ of 1", ["train", "--optimizer", "BOP", "--ar", "1"], /--ar/],
    ["a file that is no checkpoint", ["evaluate", bin], /safetensors|checkpoint/],
    ["a file that isn't there", ["inspect", "absent.safetensors"], /absent\.safetensors/],
    ["a folder that can't be made", ["train", "--savedir", join(bin, "below")], /bin\/peekaboo\.js\/below/],
  ];

  it.each(cases)("%s is one sentence with status 2", (_, args, told) => {
    const { status, stdout, stderr } = peekaboo(...args);
    expect(status).toBe(2);
    expect(stdout).toBe("");
    expect(stderr).toMatch(told);
    expect(stderr.trim().split("\n")).toHaveLength(1);
  });
});
