// The memory that `peekaboo prune` takes of a ResNet18, with more and more weights: each width in a process of its own.
// node bench/dist/prune-memory.js [WIDTHS=1,2] [PRUNER=SynFlow] [ROUNDS=10] [DENSITY=0.3]; width 6.7 has half a billion weights
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { machine, peakBytes } from "./statistics.js";

const [widths = "1,2", pruner = "SynFlow", rounds = "10", density = "0.3"] = process.argv.slice(2);
const program = fileURLToPath(new URL("../../packages/peekaboo/bin/peekaboo.js", import.meta.url));
/** Milliseconds from one look at the process to the next: its peak never falls. */
const LOOK = 100;

interface Took {
  weights: number;
  bytes: number;
  seconds: number;
  pruning: number;
}

async function pruned(width: string, folder: string): Promise<Took> {
  const settings = ["--arch", "ResNet18", "--width", width, "--pruner", pruner];
  const pruning = ["--prune-ratio", density, "--prune-iters", rounds, "--pruned-save-name", join(folder, "pruned")];
  const begun = performance.now();
  const child = spawn(process.execPath, [program, "prune", ...settings, ...pruning, "--json"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [bytes, text] = await Promise.all([peakOf(child), textOf(child)]);
  if (child.exitCode !== 0) throw new Error(`prune-memory: peekaboo prune ended with status ${child.exitCode}`);
  const { total, seconds } = JSON.parse(text) as { total: number; seconds: number };
  return { weights: total, bytes, pruning: seconds, seconds: (performance.now() - begun) / 1000 };
}

async function peakOf(child: ChildProcess): Promise<number> {
  let peak = 0;
  const looking = setInterval(() => {
    const bytes = peakBytes(child.pid);
    if (bytes > peak) peak = bytes;
  }, LOOK);
  try {
    await once(child, "close");
  } finally {
    clearInterval(looking);
  }
  return peak;
}

async function textOf({ stdout }: ChildProcess): Promise<string> {
  let text = "";
  for await (const chunk of stdout ?? []) text += chunk;
  return text;
}

const folder = mkdtempSync(join(tmpdir(), "peekaboo-prune-"));
try {
  const ownMemory = Number(readFileSync("/proc/meminfo", "utf8").match(/^MemTotal:\s+(\d+)/)?.[1] ?? 0) / 1e6;
  console.log(`${pruner}, ${rounds} rounds to ${density}; ${machine()}, ${ownMemory.toFixed(0)} GB`);
  for (const width of widths.split(",")) {
    const { weights, bytes, pruning, seconds } = await pruned(width, folder);
    const each = (bytes / weights).toFixed(1);
    console.log(
      `width ${width}: ${weights} weights, peak ${(bytes / 1e9).toFixed(2)} GB (${each} bytes a weight), pruning ${pruning.toFixed(1)} s, all ${seconds.toFixed(1)} s`,
    );
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
