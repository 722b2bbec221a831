// What saving every minute takes of a real training on CIFAR-10 from the cache (PEEKABOO_DATA): the seconds spent in saves, and the step after each against the others.
// node bench/dist/checkpoint-run.js [MINUTES=3.5] [ARCH=PsgResNet18] [BATCH=128]
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CheckpointStore } from "#peekaboo/checkpoint/checkpoint-store";
import { runTrain } from "#peekaboo/cli/run-train";
import { parseConfig } from "#peekaboo/config/config";
import { lossesOf, machine, refuseCollapsed, spread } from "./statistics.js";

const [minutes = "3.5", arch = "PsgResNet18", batch = "128"] = process.argv.slice(2);
/** The first steps are slower: memory is asked of the system, and threads start. */
const WARM_UP = 5;

const saves: { step: number; seconds: number }[] = [];
const { save } = CheckpointStore.prototype;
CheckpointStore.prototype.save = async function timed(contents, step) {
  const begun = performance.now();
  await save.call(this, contents, step);
  saves.push({ step, seconds: (performance.now() - begun) / 1000 });
};

const savedir = mkdtempSync(join(tmpdir(), "peekaboo-bench-checkpoint-run-"));
try {
  const config = parseConfig({
    arch,
    initMethod: "kaiming_normal",
    optimizer: "BOP",
    batchSize: Number(batch),
    epochs: 1000,
    checkpointEvery: { seconds: 60 },
    savedir,
    expName: "run",
    resume: "never",
  });
  // As a user's Ctrl+C: the run saves once more and ends.
  const stop = setTimeout(() => process.kill(process.pid, "SIGINT"), Number(minutes) * 60_000);
  const begun = performance.now();
  await runTrain(config, process);
  clearTimeout(stop);
  const whole = (performance.now() - begun) / 1000;
  const metrics = readFileSync(join(savedir, "run", "metrics.jsonl"), "utf8");
  refuseCollapsed(lossesOf(metrics), "the run");
  const lines = metrics.trim().split("\n");
  const steps = lines
    .map((line) => JSON.parse(line) as { kind: string; step: number; imagesPerSecond: number })
    .filter(({ kind, step }) => kind === "step" && step > WARM_UP);
  const saved = new Set(saves.map(({ step }) => step + 1));
  const seconds = (after: boolean) =>
    spread(steps.filter(({ step }) => saved.has(step) === after).map((step) => Number(batch) / step.imagesPerSecond));
  // Without the one before the first step and the one after the signal.
  const regular = saves.slice(1, -1).map((save) => save.seconds);
  const sum = regular.reduce((total, value) => total + value, 0);
  console.log(`${arch}, ${steps.length + WARM_UP} steps in ${whole.toFixed(0)} s; ${machine()}`);
  console.log(
    `saves: ${spread(regular, { digits: 2 })}, besides the first and the last: ${saves.map((save) => save.seconds.toFixed(2)).join(", ")} s`,
  );
  console.log(`share of a minute: ${((100 * sum) / regular.length / 60).toFixed(2)} %`);
  console.log(`a step after a save: ${seconds(true)}; any other: ${seconds(false)}`);
} finally {
  rmSync(savedir, { recursive: true });
}
