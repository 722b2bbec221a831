// Seconds from the start of `peekaboo train` to its first optimiser step, on CIFAR-10 from the cache (PEEKABOO_DATA): the real command line, with its first step's own time taken off.
// node bench/dist/start.js [ARCH=PsgResNet18] [BATCH=128] [REPETITIONS=7]
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { lossesOf, machine, refuseCollapsed, spread } from "./statistics.js";

const [arch = "PsgResNet18", batch = "128", repetitions = "7"] = process.argv.slice(2);
const program = fileURLToPath(new URL("../../packages/peekaboo/bin/peekaboo.js", import.meta.url));

/** Seconds until the run tells of its first step. */
async function untilTold(flags: readonly string[]): Promise<number> {
  const begun = performance.now();
  const child = spawn(process.execPath, [program, "train", ...flags], { stdio: ["ignore", "ignore", "pipe"] });
  let [seconds, text] = [Number.NaN, ""];
  child.stderr.on("data", (chunk: Buffer) => {
    text += chunk.toString();
    if (Number.isNaN(seconds) && /Epoch 1, step 1 of/.test(text)) seconds = (performance.now() - begun) / 1000;
  });
  const status = await new Promise((resolve) => child.on("close", resolve));
  if (status !== 0 || Number.isNaN(seconds)) throw new Error(`no first step: ${text}`);
  return seconds;
}

/** Seconds that the first step took, its batch included. */
function firstStep(path: string): number {
  const metrics = readFileSync(path, "utf8");
  refuseCollapsed(lossesOf(metrics), "the run");
  const [line = ""] = metrics.split("\n").filter((text) => text.includes('"kind":"step"'));
  const { imagesPerSecond } = JSON.parse(line) as { imagesPerSecond: number };
  return Number(batch) / imagesPerSecond;
}

const folder = mkdtempSync(join(tmpdir(), "peekaboo-bench-start-"));
try {
  const times: number[] = [];
  for (let i = 0; i < Number(repetitions); i++) {
    const settings = ["--arch", arch, "--optimizer", "BOP", "--init-method", "kaiming_normal", "--bs", batch];
    const short = ["--max-steps", "1", "--print-freq", "1", "--test-limit", "10", "--json"];
    const where = ["--savedir", folder, "--exp-name", `run${i}`];
    const told = await untilTold([...settings, ...short, ...where]);
    times.push(told - firstStep(join(folder, `run${i}`, "metrics.jsonl")));
    rmSync(join(folder, `run${i}`), { recursive: true });
  }
  console.log(`${arch}, ${batch} images a step; ${machine()}`);
  console.log(`from start to first step: ${spread(times, { digits: 2 })}`);
} finally {
  rmSync(folder, { recursive: true });
}
