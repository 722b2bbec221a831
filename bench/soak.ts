// Memory and tensors of a long training: PsgResNet20 on CIFAR-10 as `peekaboo train` runs it, with a checkpoint every 50 steps and twenty epochs, each with a test. Exits with 1 unless the resident memory of the last tenth lies within 2 % of that of the second, and no tensor was left.
// V8's young generation is held at one size: by itself it grows and shrinks by up to 30 MB at any time.
// node --min-semi-space-size=16 --max-semi-space-size=16 bench/dist/soak.js [STEPS=2000] [BATCH=128] [WIDTH=0.5] [THREADS=2]
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { liveTensorCount } from "@peekaboo/torch";
import { runTrain } from "#peekaboo/cli/run-train";
import { parseConfig } from "#peekaboo/config/config";
import { lossesOf, machine, median, refuseCollapsed, spread } from "./statistics.js";

const [steps = "2000", batch = "128", width = "0.5", threads = "2"] = process.argv.slice(2);
/** So many that what only the first test takes is behind the second tenth. */
const EPOCHS = 20;
/** Steps from one sample to the next. */
const EVERY = 10;
const LIMIT = 0.02;

interface Sample {
  epoch: number;
  rss: number;
  tensors: number;
}
const samples: Sample[] = [];

/** Takes a sample whenever the run tells of a step. */
const stderr = new Writable({
  write(chunk: Buffer, _, done) {
    const text = chunk.toString();
    const [, epoch] = /^Epoch (\d+), step \d+ of/.exec(text) ?? [];
    if (epoch === undefined) process.stderr.write(text);
    else samples.push({ epoch: Number(epoch), rss: process.memoryUsage.rss(), tensors: liveTensorCount() });
    done();
  },
});

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Prints what the samples come to; whether it is as it must be. */
function judge(): boolean {
  const tenth = samples.length / 10;
  const memory = (number: number) =>
    median(samples.slice(Math.round(number * tenth), Math.round((number + 1) * tenth)).map(({ rss }) => rss / 1e6));
  const tenths = Array.from({ length: 10 }, (_, number) => memory(number));
  const [, second = Number.NaN] = tenths;
  const last = tenths.at(-1) ?? Number.NaN;
  const growth = last / second - 1;
  const ends = Array.from({ length: EPOCHS }, (_, i) => samples.filter(({ epoch }) => epoch === i + 1).at(-1)?.tensors);
  const net = (ends.at(-1) ?? Number.NaN) - (ends[0] ?? Number.NaN);
  const counts = samples.slice(Math.round(tenth)).map(({ tensors }) => tensors);
  console.log(`${samples.length} samples in ${steps} steps; ${machine()}`);
  const all = samples.map(({ rss }) => rss / 1e6);
  console.log(`resident memory ${spread(all, { unit: "MB", digits: 1 })}`);
  console.log(`of the tenths, medians: ${tenths.map((value) => value.toFixed(0)).join(", ")} MB`);
  console.log(`second ${second.toFixed(1)} MB, last ${last.toFixed(1)} MB: ${(100 * growth).toFixed(2)} %`);
  console.log(
    `tensors at the end less those after the first epoch: ${net} (between ${Math.min(...counts)} and ${Math.max(...counts)}, ${mean(counts).toFixed(1)} on average)`,
  );
  return Math.abs(growth) <= LIMIT && net === 0 && samples.length === Number(steps) / EVERY;
}

const savedir = mkdtempSync(join(tmpdir(), "peekaboo-bench-soak-"));
try {
  const config = parseConfig({
    arch: "PsgResNet20",
    width: Number(width),
    initMethod: "kaiming_normal",
    optimizer: "BOP",
    bop: { ar: 1e-3 },
    batchSize: Number(batch),
    epochs: EPOCHS,
    trainLimit: (Number(batch) * Number(steps)) / EPOCHS,
    testLimit: 1000,
    threads: Number(threads),
    printFreq: EVERY,
    checkpointEvery: { steps: 50 },
    savedir,
    expName: "run",
    resume: "never",
  });
  const status = await runTrain(config, { stdout: process.stdout, stderr });
  if (status !== 0) throw new Error(`the run ended with ${status}`);
  refuseCollapsed(lossesOf(readFileSync(join(savedir, "run", "metrics.jsonl"), "utf8")), "the run");
  if (!judge()) process.exitCode = 1;
} finally {
  rmSync(savedir, { recursive: true });
}
