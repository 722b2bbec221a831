// A run that is stopped and resumed, on real CIFAR-10, against one that is not.
import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readSafetensors } from "@peekaboo/files";
import { describe, expect, it } from "vitest";
import { bin, peekaboo } from "./support/cli.js";
import { readShownEvents } from "./support/events.js";
import { sharedFolder } from "./support/folder.js";

const folder = sharedFolder();

/** Three epochs of three steps, with two shots of pruning, dropout, BatchNorm, Bop's averages and SGD's momentum. */
const RUN =
  "train --arch PsgWideResNet28_10 --width 0.05 --dropout 0.2 --optimizer BOP --ar 1e-2 --tau 1e-6 --psg-no-take-sign --psg-sparsify --msb-bits 8 --msb-bits-grad 16 --pruner SynFlow --prune-epoch 2 --prune-shots 2 --prune-ratio 0.4 --prune-iters 2 --bs 32 --train-limit 96 --test-limit 64 --epochs 3 --lr 0.05 --milestones 1,2 --threads 2".split(
    " ",
  );

const run = (name: string, ...more: string[]) => [...RUN, "--savedir", folder, "--exp-name", name, ...more];
const args = (name: string, ...more: string[]) => [bin, ...run(name, ...more)];
const train = (name: string, ...more: string[]) => peekaboo(...run(name, ...more));

/** Stops the run by a signal once it has told `steps` steps. */
const stopped = (name: string, steps: number, ...more: string[]) => stoppedBy("SIGTERM", name, steps, ...more);

async function stoppedBy(signal: NodeJS.Signals, name: string, steps: number, ...more: string[]) {
  const child = spawn(process.execPath, args(name, ...more), { stdio: "ignore" });
  const ended = new Promise<{ status: number | null; signal: NodeJS.Signals | null }>((resolve) =>
    child.on("exit", (status, by) => resolve({ status, signal: by })),
  );
  let over = false;
  void ended.then(() => {
    over = true;
  });
  while (!over && stepsOf(name) < steps) await new Promise((resolve) => setTimeout(resolve, 5));
  child.kill(signal);
  return ended;
}

/** Flips a bit of a checkpoint's last byte. */
function damage(name: string, file: string): void {
  const path = join(folder, name, file);
  const bytes = readFileSync(path);
  bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
  writeFileSync(path, bytes);
}

const lines = (name: string): Line[] => {
  try {
    const text = readFileSync(join(folder, name, "metrics.jsonl"), "utf8");
    return text.split("\n").flatMap((line) => (line.endsWith("}") ? [JSON.parse(line)] : []));
  } catch {
    return [];
  }
};
const stepsOf = (name: string) => lines(name).filter(({ kind }) => kind === "step").length;

const tensorsOf = (name: string) => {
  const { tensors } = readSafetensors(join(folder, name, "checkpoint.safetensors"));
  return new Map(
    [...tensors].map(([key, { dtype, shape, data }]) => [key, [dtype, shape, Buffer.from(data).toString("base64")]]),
  );
};

/** The metrics without what the clock says. */
const timeless = (name: string) =>
  lines(name).map((line) => ({ ...line, seconds: undefined, imagesPerSecond: undefined }));

/** Each epoch's flips by layer are those of its steps together. */
function expectFlipsOfSteps(name: string): void {
  const all = lines(name);
  for (const epoch of [0, 1, 2]) {
    const ofKind = (kind: string) => all.filter((line) => line.kind === kind && line.epoch === epoch);
    const layers = ofKind("flips").flatMap((line) => line.layers ?? []);
    const sum = (parts: readonly { flips?: number }[]) => parts.reduce((total, { flips = 0 }) => total + flips, 0);
    expect([layers.length > 0, sum(layers)]).toEqual([true, sum(ofKind("step"))]);
  }
}

/** CSV and TensorBoard tell the losses of the metrics, each once. */
function expectTracked(name: string): void {
  const figures = (kind: string) => lines(name).flatMap((line) => (line.kind === kind ? [[line.step, line.loss]] : []));
  const rows = readFileSync(join(folder, name, "steps.csv"), "utf8")
    .trim()
    .split("\n")
    .slice(1);
  expect(rows.map((row) => row.split(",").slice(1, 3).map(Number))).toEqual(figures("step"));
  expect(
    readFileSync(join(folder, name, "epochs.csv"), "utf8")
      .trim()
      .split("\n"),
  ).toHaveLength(4);
  const shown = readShownEvents(join(folder, name));
  const scalars = (tag: string) => shown.get(tag)?.map(({ step, scalar }) => [step, scalar]);
  const rounded = (kind: string) => figures(kind).map(([step, loss]) => [step, Math.fround(Number(loss))]);
  expect(scalars("loss/train")).toEqual(rounded("step"));
  expect(scalars("loss/test")).toEqual(rounded("eval"));
}

interface Line {
  kind: string;
  epoch: number;
  step?: number;
  loss?: number;
  flips?: number;
  layers?: { flips: number }[];
}

describe("--resume", () => {
  it("makes a run that was stopped twice end as one that never was, in every byte of its tensors", async () => {
    expect(train("whole").status).toBe(0);
    const first = await stopped("parts", 2);
    expect(first.status).toBe(143);
    const second = await stopped("parts", 7, "--resume");
    expect([0, 143]).toContain(second.status);
    const third = train("parts", "--resume", "auto");
    expect(third.stderr).toContain("Resuming ");
    expect(third.status).toBe(0);
    expect(tensorsOf("parts")).toEqual(tensorsOf("whole"));
    expect(timeless("parts")).toEqual(timeless("whole"));
  });

  it("refuses other settings in one sentence that lists them, and changes nothing", () => {
    const before = readFileSync(join(folder, "whole", "checkpoint.safetensors"));
    const { status, stderr } = train("whole", "--resume", "--tau", "1e-5", "--seed", "3");
    expect(status).toBe(2);
    expect(stderr).toMatch(
      /^resume: expected the settings that its run began with .*received others \(seed 3 instead of 0, bop\.tau 0\.00001 instead of 0\.000001\)[^\n]*\n$/,
    );
    expect(readFileSync(join(folder, "whole", "checkpoint.safetensors")).equals(before)).toBe(true);
  });

  it("tells the result again when nothing is left to do", () => {
    const before = tensorsOf("whole");
    const { status, stderr } = train("whole", "--resume");
    expect(stderr).toContain("after step 9");
    expect(status).toBe(0);
    expect(tensorsOf("whole")).toEqual(before);
  });

  it("is auto: a run that was killed goes on from its last checkpoint within an epoch, to the same bytes", async () => {
    const every = ["--checkpoint-every", "2", "--log", "csv", "--log", "tensorboard"];
    const killed = await stoppedBy("SIGKILL", "killed", 5, ...every);
    expect(killed.signal).toBe("SIGKILL");
    expect(existsSync(join(folder, "killed", "run.lock"))).toBe(true);
    const { status, stderr } = train("killed", ...every);
    expect(status, stderr).toBe(0);
    expect(stderr).toMatch(/Resuming \S+checkpoint.safetensors after step [4-8]\./);
    expect(existsSync(join(folder, "killed", "run.lock"))).toBe(false);
    expect(tensorsOf("killed")).toEqual(tensorsOf("whole"));
    expect(timeless("killed")).toEqual(timeless("whole"));
    expectTracked("killed");
  });

  it("goes back to the checkpoint before when the latest is damaged, and refuses when both are", () => {
    damage("killed", "checkpoint.safetensors");
    const { status, stderr } = train("killed");
    expect(status, stderr).toBe(0);
    expect(stderr).toMatch(/^Note: .* agree with their checksums .*; going back to \S+checkpoint-8\.safetensors\.$/m);
    expect(stderr).toContain("after step 8.");
    expect(tensorsOf("killed")).toEqual(tensorsOf("whole"));
    expect(timeless("killed")).toEqual(timeless("whole"));
    expectTracked("killed");
    for (const name of readdirSync(join(folder, "killed"))) if (name.startsWith("checkpoint")) damage("killed", name);
    const refused = train("killed");
    expect(refused.status).toBe(2);
    expect(refused.stderr).toMatch(/^resume: expected a whole checkpoint .* received 2 damaged ones [^\n]*\n$/);
  });

  it("never replaces what is there, damaged or not, and says so", () => {
    const { status, stderr } = train("killed", "--resume", "never", "--max-steps", "1");
    expect(status, stderr).toBe(0);
    expect(stderr).toMatch(/Note: \S+killed held an earlier run, which this one replaces\./);
    expect(stepsOf("killed")).toBe(1);
  });

  it("is refused while another process uses the folder", async () => {
    const child = spawn(process.execPath, args("busy"), { stdio: "ignore" });
    const ended = new Promise((resolve) => child.on("exit", resolve));
    while (stepsOf("busy") < 1) await new Promise((resolve) => setTimeout(resolve, 5));
    child.kill("SIGSTOP");
    const { status, stderr } = train("busy");
    child.kill("SIGCONT");
    child.kill("SIGTERM");
    await ended;
    expect(status).toBe(2);
    expect(stderr).toMatch(
      new RegExp(`^train: expected a run folder .* in use by process ${child.pid} on [^\\n]*\\n$`),
    );
  });

  it("does so with two processes, too", async () => {
    const two = ["--nproc-per-node", "2", "--threads", "1", "--bs", "32", "--checkpoint-every", "2"];
    const tracked = [...two, "--log", "csv,tensorboard"];
    expect(train("whole-two", ...two).status).toBe(0);
    const first = await stopped("parts-two", 4, ...tracked);
    expect(first.status).toBe(143);
    const last = train("parts-two", ...tracked, "--resume");
    expect(last.stderr).toContain("Resuming ");
    expect(last.status, last.stderr).toBe(0);
    expect(tensorsOf("parts-two")).toEqual(tensorsOf("whole-two"));
    expect(timeless("parts-two")).toEqual(timeless("whole-two"));
    expectFlipsOfSteps("parts-two");
    expectTracked("parts-two");
  });
});

describe("a signal", () => {
  const long = ["--prune-iters", "5000", "--prune-epoch", "0", "--prune-shots", "1"];

  async function pruning(name: string, signals: readonly NodeJS.Signals[]) {
    const child = spawn(process.execPath, args(name, ...long));
    const ended = new Promise<{ status: number | null; signal: NodeJS.Signals | null }>((resolve) =>
      child.on("exit", (status, signal) => resolve({ status, signal })),
    );
    await new Promise<void>((resolve) => {
      child.stderr.on("data", (bytes) => {
        if (String(bytes).includes("prune with SynFlow")) resolve();
      });
    });
    for (const signal of signals) child.kill(signal);
    return ended;
  }

  it.each([
    ["SIGTERM", 143],
    ["SIGINT", 130],
  ] as const)("%s during the pruning ends the run with %d and leaves no lock", async (signal, status) => {
    expect(await pruning(signal, [signal])).toEqual({ status, signal: null });
    expect(readdirSync(join(folder, signal)).sort()).toEqual(["config.json", "metrics.jsonl"]);
  });

  it("ends the process at once when it is the second, but not when it is the first's echo", async () => {
    const guard = new URL("../packages/peekaboo/dist/console/interrupt.js", import.meta.url).href;
    const script = `
      import { InterruptGuard } from ${JSON.stringify(guard)};
      new InterruptGuard();
      process.stdout.write("ready");
      setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script]);
    const ended = new Promise((resolve) => child.on("exit", (_, signal) => resolve(signal)));
    const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
    await new Promise((resolve) => child.stdout.once("data", resolve));
    child.kill("SIGTERM");
    await pause(50);
    child.kill("SIGTERM");
    await pause(1000);
    expect(child.signalCode).toBeNull();
    child.kill("SIGTERM");
    expect(await ended).toBe("SIGTERM");
  });
});
