// Images a second that train a network: one process with all threads, against several with a thread each that share each batch; the real command line, alternating.
// node bench/dist/processes.js [ARCH=PsgResNet20] [BATCH=128] [PROCESSES=2] [REPETITIONS=5] [STEPS=40]
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { lossesOf, machine, median, refuseCollapsed, spread } from "./statistics.js";

const [arch = "PsgResNet20", batch = "128", processes = "2", repetitions = "5", steps = "40"] = process.argv.slice(2);
const program = fileURLToPath(new URL("../../packages/peekaboo/bin/peekaboo.js", import.meta.url));
/** The first steps are slower: memory is asked of the system, and threads start. */
const WARM_UP = 5;

/** The two ways, with the same number of threads in all. */
const ways = new Map([
  [`1 process with ${processes} threads`, ["--threads", processes]],
  [`${processes} processes with 1 thread`, ["--threads", "1", "--nproc-per-node", processes]],
]);

/** One run's images a second, a value for each step after the warm-up. */
function train(flags: readonly string[]): number[] {
  const folder = mkdtempSync(join(tmpdir(), "peekaboo-bench-processes-"));
  try {
    const settings = ["--arch", arch, "--optimizer", "BOP", "--init-method", "kaiming_normal", "--bs", batch];
    const short = ["--train-limit", `${Number(batch) * Number(steps)}`, "--test-limit", "250", "--epochs", "1"];
    const where = ["--savedir", folder, "--exp-name", "run", "--json"];
    execFileSync(process.execPath, [program, "train", ...settings, ...short, ...where, ...flags], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    const metrics = readFileSync(join(folder, "run", "metrics.jsonl"), "utf8");
    refuseCollapsed(lossesOf(metrics), flags.join(" "));
    const lines = metrics.trim().split("\n");
    const all = lines.map((line) => JSON.parse(line) as { kind: string; imagesPerSecond: number });
    return all.flatMap(({ kind, imagesPerSecond }) => (kind === "step" ? [imagesPerSecond] : [])).slice(WARM_UP);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const runs = new Map([...ways.keys()].map((name) => [name, [] as number[]]));
const rates = new Map([...ways.keys()].map((name) => [name, [] as number[]]));
for (let i = 0; i < Number(repetitions); i++) {
  // Each first in turn, so that a neighbour's load falls on both.
  const order = i % 2 === 0 ? [...ways] : [...ways].reverse();
  for (const [name, flags] of order) {
    const values = train(flags);
    rates.get(name)?.push(...values);
    runs.get(name)?.push(median(values));
  }
}
console.log(`${arch}, ${batch} images a step, ${repetitions} runs of ${steps} steps each; ${machine()}`);
const medians = [...rates].map(([name, values]) => {
  const each = spread(runs.get(name) ?? [], { unit: "images/s", digits: 0 });
  console.log(`${name}: ${spread(values, { unit: "images/s", digits: 0 })}; medians of the runs ${each}`);
  return median(values);
});
console.log(`ratio of the medians ${((medians[1] ?? Number.NaN) / (medians[0] ?? Number.NaN)).toFixed(3)}`);
