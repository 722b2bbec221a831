// How long a command takes to begin: help, and the first step of a training on CIFAR-10 from the cache (PEEKABOO_DATA), whose own
// time is taken off.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cachePath, dataFolder } from "#peekaboo/data/cache";
import { cifar10 } from "#peekaboo/data/sets/cifar10";
import { alternating, lossesOf, refuseCollapsed, seconds, spreadOf } from "../statistics.js";
import type { Bench, Row } from "./bench.js";

const program = fileURLToPath(new URL("../../../packages/peekaboo/bin/peekaboo.js", import.meta.url));
const BATCH = 128;

/** Seconds until a run tells of its first step. */
async function untilTold(flags: readonly string[]): Promise<number> {
  const begun = performance.now();
  const child = spawn(process.execPath, [program, "train", ...flags], { stdio: ["ignore", "ignore", "pipe"] });
  let [taken, text] = [Number.NaN, ""];
  child.stderr.on("data", (chunk: Buffer) => {
    text += chunk.toString();
    if (Number.isNaN(taken) && /Epoch 1, step 1 of/.test(text)) taken = (performance.now() - begun) / 1000;
  });
  const status = await new Promise((resolve) => child.on("close", resolve));
  if (status !== 0 || Number.isNaN(taken)) throw new Error(`no first step: ${text}`);
  return taken;
}

/** Seconds that the first step took, its batch included. */
function firstStep(path: string): number {
  const metrics = readFileSync(path, "utf8");
  refuseCollapsed(lossesOf(metrics), "the run");
  const [line = ""] = metrics.split("\n").filter((text) => text.includes('"kind":"step"'));
  const { imagesPerSecond } = JSON.parse(line) as { imagesPerSecond: number };
  return BATCH / imagesPerSecond;
}

async function trainStart(arch: string): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "peekaboo-bench-start-"));
  try {
    const settings = ["--arch", arch, "--optimizer", "BOP", "--init-method", "kaiming_normal", "--bs", `${BATCH}`];
    const short = ["--max-steps", "1", "--print-freq", "1", "--test-limit", "10", "--json"];
    const told = await untilTold([...settings, ...short, "--savedir", folder, "--exp-name", "run"]);
    return told - firstStep(join(folder, "run", "metrics.jsonl"));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export const start: Bench = {
  name: "start",
  about: "from the start of a command to its help, and to the first step of a training",
  async run({ quick, repetitions, say }) {
    const ways = new Map<string, () => number | Promise<number>>([
      ["peekaboo --help", () => seconds(() => spawnSync(process.execPath, [program, "--help"]))],
    ]);
    if (quick || !existsSync(cachePath(dataFolder(), cifar10))) say("start: without CIFAR-10 only that of --help");
    else {
      for (const arch of ["PsgResNet20", "PsgResNet18"]) {
        ways.set(`peekaboo train, ${arch}, to the first step`, () => trainStart(arch));
      }
    }
    const times = await alternating(ways, repetitions);
    const rows = [...times].map(([command, values]): Row => ({ command, seconds: spreadOf(values) }));
    return { tables: [{ title: "Start", rows }] };
  },
};
