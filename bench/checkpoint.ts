// Seconds of a checkpoint as a run saves it, against a plain copy of as many bytes: one write to a new file and fsync; and against that copy with rename and fsync of the folder, which a save needs to be atomic. Alternating in one process.
// node bench/dist/checkpoint.js [FOLDER=a temporary one] [ARCH=PsgResNet18] [REPETITIONS=15]
import {
  closeSync,
  fsyncSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeCheckpoint, networkOptions } from "#peekaboo/checkpoint/checkpoint";
import { CheckpointStore } from "#peekaboo/checkpoint/checkpoint-store";
import { BEGINNING } from "#peekaboo/checkpoint/progress";
import { parseConfig, type TrainConfig } from "#peekaboo/config/config";
import { Network } from "#peekaboo/models/network";
import { pabOps } from "#peekaboo/native/library";
import { prune } from "#peekaboo/pruning/loop";
import { magnitude } from "#peekaboo/pruning/pruners/magnitude";
import { runFolder } from "#peekaboo/runs/run-folder";
import { Trainer } from "#peekaboo/training/trainer";
import { openBatches } from "./batches.js";
import { machine, median, refuseCollapsed, spread } from "./statistics.js";

const [parent = tmpdir(), arch = "PsgResNet18", repetitions = "15"] = process.argv.slice(2);
const TMPFS = 0x01021994;
/** A run that saves every minute. */
const INTERVAL = 60;

/** A pruned network after one step, so that both optimisers have a state. */
async function makeTrainer(config: TrainConfig): Promise<Trainer> {
  const network = new Network(networkOptions(config, 10, [3, 32, 32]));
  network.initialise(config.initMethod, config.seed);
  const options = { density: 0.3, iterations: 1, schedule: "exponential", scope: "global" } as const;
  await prune(network, { pruner: magnitude, ...options, imageShape: [3, 32, 32] });
  const trainer = new Trainer(network, config);
  for (const batch of await openBatches(8, 1)) {
    const { loss } = trainer.step(batch, { epoch: 0, step: 0, totalSteps: 1 });
    refuseCollapsed([loss], "the step before");
  }
  return trainer;
}

/** Writes `bytes` to a new file at once and has it on the disk; `atomic`: under a name that appears when it is. */
function copy(bytes: Uint8Array, path: string, folder: string, atomic: boolean): void {
  const descriptor = openSync(path, "wx");
  const written = writeSync(descriptor, bytes);
  if (written !== bytes.byteLength) throw new Error(`only ${written} bytes at once`);
  fsyncSync(descriptor);
  closeSync(descriptor);
  if (!atomic) return;
  renameSync(path, `${path}.whole`);
  const opened = openSync(folder, "r");
  fsyncSync(opened);
  closeSync(opened);
}

if (statfsSync(parent).type === TMPFS) throw new Error(`${parent} is in memory: give a FOLDER on a disk`);
pabOps().reuseMemory(true);
const savedir = mkdtempSync(join(parent, "peekaboo-bench-checkpoint-"));
try {
  const config = parseConfig({ arch, optimizer: "BOP" });
  const trainer = await makeTrainer(config);
  const folder = runFolder({ savedir, expName: "." });
  const store = new CheckpointStore(folder, 2);
  let step = 0;
  const save = async () => {
    step++;
    await store.save(encodeCheckpoint(trainer, config, { ...BEGINNING, step }), step);
  };
  await save();
  const bytes = readFileSync(folder.checkpoint);
  const path = join(savedir, "copy");
  const ways = new Map<string, () => unknown>([
    ["a plain copy with fsync", () => copy(bytes, path, savedir, false)],
    ["the same, with rename and fsync of the folder", () => copy(bytes, path, savedir, true)],
    ["a checkpoint", save],
  ]);
  /** Processor seconds that a checkpoint takes of the steps after it. */
  const afterwards: number[] = [];
  const times = new Map([...ways.keys()].map((name) => [name, [] as number[]]));
  for (let i = 0; i <= Number(repetitions); i++) {
    // Each first in turn, so that a neighbour's load, or the disk's, falls on all.
    const order = [...ways];
    for (const [name, run] of [...order.slice(i % 3), ...order.slice(0, i % 3)]) {
      const begun = performance.now();
      await run();
      // The first of each warms up.
      if (i > 0) times.get(name)?.push((performance.now() - begun) / 1000);
      // A run's next steps go on while the file is verified and an earlier one is removed.
      const before = process.cpuUsage();
      await store.settle();
      const { user, system } = process.cpuUsage(before);
      if (run === save && i > 0) afterwards.push((user + system) / 1e6);
      for (const made of [path, `${path}.whole`]) rmSync(made, { force: true });
    }
  }
  console.log(`${arch}, ${(bytes.byteLength / 1e6).toFixed(1)} MB, ${repetitions} of each; ${machine()}`);
  const medians = [...times].map(([name, values]) => {
    console.log(`${name}: ${spread(values, { unit: "ms", digits: 0, times: 1000 })}`);
    return median(values);
  });
  const [plain = Number.NaN, atomic = Number.NaN, ours = Number.NaN] = medians;
  console.log(`ratio to a plain copy ${(ours / plain).toFixed(2)}, to an atomic one ${(ours / atomic).toFixed(2)}`);
  const later = median(afterwards);
  console.log(
    `verified while the run goes on, in ${spread(afterwards, { unit: "ms", digits: 0, times: 1000 })} of processor time`,
  );
  console.log(`share of a run that saves every minute: ${((100 * (ours + later)) / INTERVAL).toFixed(2)} %`);
} finally {
  rmSync(savedir, { recursive: true });
}
