import { type ChildProcess, type StdioOptions, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readSafetensors } from "@peekaboo/files";
import { cachePath, dataFolder } from "#peekaboo/data/cache";
import { cifar10 } from "#peekaboo/data/sets/cifar10";

const bin = fileURLToPath(new URL("../../../packages/peekaboo/bin/peekaboo.js", import.meta.url));

/** Twelve epochs of three steps on real CIFAR-10, each epoch with a checkpoint, with pruning, Bop, SGD and BatchNorm. */
export const RUN =
  "--arch PsgResNet20 --width 0.25 --optimizer BOP --ar 1e-2 --tau 1e-6 --psg-no-take-sign --psg-sparsify --msb-bits 8 --msb-bits-grad 16 --pruner Mag --prune-ratio 0.4 --bs 32 --train-limit 96 --test-limit 64 --epochs 12 --lr 0.05 --milestones 4,8 --threads 1".split(
    " ",
  );

/** How a process ended. */
export interface Ending {
  code: number | null;
  signal: NodeJS.Signals | null;
  stderr: string;
  seconds: number;
}

/** A training under way. */
export interface Running {
  child: ChildProcess;
  ended: Promise<Ending>;
}

/** What is special about one start. */
export interface StartOptions {
  /** Instead of {@link RUN}. */
  readonly run?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** A command that starts what follows it, e.g. ["nice"]. */
  readonly under?: readonly string[];
  readonly node?: readonly string[];
  /** Default: only stderr is read. */
  readonly stdio?: StdioOptions;
  /** Default: this process's own folder. */
  readonly cwd?: string;
}

/** Starts `peekaboo train` of {@link RUN} in the run folder `savedir`/`name`. */
export function train(savedir: string, name: string, options: StartOptions = {}): Running {
  const { run = RUN, args = [], env = {}, under = [], node = [], stdio = ["ignore", "ignore", "pipe"], cwd } = options;
  const command = [...under, process.execPath, ...node, bin, "train", ...run, "--savedir", savedir, "--exp-name", name];
  const [file = "", ...rest] = [...command, ...args];
  const started = performance.now();
  const child = spawn(file, rest, { stdio, cwd, env: { ...process.env, ...env } });
  let stderr = "";
  child.stderr?.on("data", (chunk) => (stderr = `${stderr}${chunk}`.slice(-100_000)));
  const ended = new Promise<Ending>((resolve) => {
    const end = (code: number | null, signal: NodeJS.Signals | null) =>
      resolve({ code, signal, stderr, seconds: (performance.now() - started) / 1000 });
    child.on("error", (error) => {
      stderr += error.message;
      end(null, null);
    });
    child.on("close", end);
  });
  return { child, ended };
}

/** A run's tensors, each as dtype, shape and bytes; undefined when the checkpoint can't be read. */
export function tensorsOf(savedir: string, name: string): Map<string, string> | undefined {
  const path = join(savedir, name, "checkpoint.safetensors");
  if (!existsSync(path)) return undefined;
  const { tensors } = readSafetensors(path);
  const text = ([key, { dtype, shape, data }]: [
    string,
    { dtype: string; shape: readonly number[]; data: Uint8Array },
  ]) => [key, `${dtype} ${shape.join()} ${Buffer.from(data).toString("base64")}`] as const;
  return new Map([...tensors].map(text));
}

/** The first difference between two runs' tensors, in words. */
export function difference(wanted: Map<string, string>, found: Map<string, string> | undefined): string | undefined {
  if (found === undefined) return "no checkpoint";
  if (found.size !== wanted.size) return `${found.size} tensors instead of ${wanted.size}`;
  for (const [name, text] of wanted) if (found.get(name) !== text) return `other bytes in ${name}`;
  return undefined;
}

/** The steps that a run's metrics tell of. */
export function stepsOf(savedir: string, name: string): number {
  try {
    const text = readFileSync(join(savedir, name, "metrics.jsonl"), "utf8");
    return text.split("\n").filter((line) => line.includes('"kind":"step"')).length;
  } catch {
    return 0;
  }
}

/** Why no training can be tried here, or undefined. */
export function missingData(): string | undefined {
  const path = cachePath(dataFolder(), cifar10);
  return existsSync(path) ? undefined : `no ${path}: run \`peekaboo data cifar10\``;
}

/** The last line that a process wrote, for a report. */
export function lastWords(stderr: string): string {
  return stderr.trim().split("\n").slice(-3).join(" | ").slice(-300);
}
