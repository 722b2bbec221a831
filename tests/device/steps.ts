import { liveTensorCount, nn, ops, type Tensor, useDevice } from "@peekaboo/torch";
import { parseConfig } from "#peekaboo/config/config";
import { epochOrder } from "#peekaboo/data/order";
import { Batches } from "#peekaboo/data/resident-batches";
import { type PsgOptions, THE_PAPERS } from "#peekaboo/layers/psg-conv2d";
import { Network } from "#peekaboo/models/network";
import { prune } from "#peekaboo/pruning/loop";
import { magnitude } from "#peekaboo/pruning/pruners/magnitude";
import { synFlow } from "#peekaboo/pruning/pruners/synflow";
import { evaluate } from "#peekaboo/training/evaluation";
import { Trainer, type TrainerConfig } from "#peekaboo/training/trainer";
import { difference, unequal } from "./compare.js";
import type { Report } from "./report.js";
import { type Seen, watched } from "./watch.js";

const IMAGES = 96;
const BATCH = 16;
const STEPS = 6;
/** The first loss sums some ten thousand products a number in another order; later ones follow other last bits. */
const FIRST_LOSS = 1e-5;
const LATER_LOSS = 1e-2;
/** Signs flip where an average passes the threshold, which a last bit can bring about. */
const SIGNS = 1e-2;

const settings = parseConfig({
  sgd: { lr: 0.05 },
  bop: { ar: 1e-2, tau: 1e-5 },
  bop2: { sigma: 1e-2, biasCorrection: true },
});
// Not sparsified: then the weight's full gradient takes part, too.
const psg: PsgOptions = { ...THE_PAPERS, threshold: { mode: "relative", value: 1e-3 }, sparsify: false };
const split = {
  height: 16,
  width: 16,
  channels: 3,
  count: IMAGES,
  images: Uint8Array.from({ length: IMAGES * 16 * 16 * 3 }, (_, i) => (i * 2654435761) >>> 24),
  labels: Uint8Array.from({ length: IMAGES }, (_, i) => i % 10),
};
const statistics = { mean: [0.49, 0.48, 0.45], std: [0.2, 0.2, 0.2], augmentation: { padding: 2, flip: true } };

interface Trained {
  losses: number[];
  flips: number[];
  state: Map<string, Tensor>;
  seen: Seen[];
  live: number[];
  test: number;
}

/**
 * The CPU's own BatchNorm sums in another order than the devices', and in six steps flips make much of last bits. (Nor does it compute
 * in integers here: see main.ts.)
 */
function useNormsOfAten({ module }: Network): void {
  for (const [, own] of module.namedModules()) if (own instanceof nn.BatchNorm2d) own.kernel = null;
}

/** Pruning and some steps on a device. */
async function trained(device: string, optimizer: TrainerConfig["optimizer"]): Promise<Trained> {
  useDevice(device);
  const network = new Network({ arch: "PsgResNet20", numClasses: 10, width: 0.25, imageShape: [3, 16, 16], psg });
  network.initialise("kaiming_normal", 5);
  network.module.to({ device });
  if (device === "cpu") useNormsOfAten(network);
  const how = { density: 0.5, iterations: 3, schedule: "exponential", scope: "global" } as const;
  for (const pruner of [synFlow, magnitude]) await prune(network, { ...how, pruner, imageShape: [3, 16, 16] });
  const batches = new Batches(statistics, split, { device, limit: null, grey: "rgb" });
  const tau = optimizer === "BOP" ? 1e-5 : 0.05;
  const trainer = new Trainer(network, { ...settings, optimizer, bop: { ...settings.bop, tau } });
  const result: Trained = { losses: [], flips: [], state: new Map(), seen: [], live: [], test: 0 };
  network.module.train();
  const source = batches.training(epochOrder(3, 0, IMAGES), BATCH, 3, 0);
  for (let step = 0; step < STEPS; step++) {
    // The batch's making is watched, too: generators run when they are asked.
    let next: ReturnType<typeof source.next> | undefined;
    const made = watched(() => {
      next = source.next();
    });
    const batch = (await next)?.value;
    if (batch === undefined) break;
    const stepped = watched(() => {
      const { loss, flips } = trainer.step(batch, { epoch: 0, step, totalSteps: STEPS });
      result.losses.push(loss);
      result.flips.push(flips);
    });
    batch.input.dispose();
    batch.target.dispose();
    result.live.push(liveTensorCount());
    result.seen.push({
      waits: made.waits + stepped.waits,
      copies: made.copies + stepped.copies,
      copiedBytes: made.copiedBytes + stepped.copiedBytes,
      allocated: stepped.allocated,
    });
  }
  result.test = (await evaluate(network, batches, { batchSize: 40 })).loss;
  for (const [name, tensor] of network.module.stateDict()) result.state.set(name, tensor.to({ device: "cpu" }).clone());
  for (const [name, tensor] of network.masks())
    result.state.set(`mask of ${name}`, tensor.to({ device: "cpu" }).clone());
  trainer.dispose();
  batches.dispose();
  network.dispose();
  return result;
}

/** Pruning, training steps and a test on the device, against the CPU's; waits, copies and memory of a step. */
export async function steps(report: Report): Promise<void> {
  for (const optimizer of ["BOP", "BOP2", "SGD"] as const) {
    const [there, here] = [await trained(report.device, optimizer), await trained("cpu", optimizer)];
    compare(report, optimizer, there, here);
    count(report, optimizer, there);
  }
}

function compare(report: Report, name: string, there: Trained, here: Trained): void {
  const limits = report.sameArithmetic ? [FIRST_LOSS, FIRST_LOSS, 1e-3] : [FIRST_LOSS, LATER_LOSS, SIGNS];
  const [first = 0, later = 0, signs = 0] = limits;
  const apart = here.losses.map((loss, i) => Math.abs(loss - (there.losses[i] ?? Number.NaN)) / loss);
  report.must(`${name}: as many steps`, there.losses.length === STEPS && here.losses.length === STEPS, `${STEPS}`);
  report.atMost(`${name}: loss of the first step against the CPU's`, apart[0] ?? Number.NaN, first);
  report.atMost(`${name}: losses of ${STEPS} steps against the CPU's`, Math.max(...apart), later);
  report.atMost(`${name}: loss of the test against the CPU's`, Math.abs(there.test / here.test - 1), later);
  let [masks, magnitudes, flipped, weights] = [0, 0, 0, 0];
  for (const [key, tensor] of here.state) {
    const other = there.state.get(key) ?? tensor;
    if (key.startsWith("mask")) masks = Math.max(masks, unequal(tensor, other));
    if (tensor.shape.length !== 4 || key.startsWith("mask")) continue;
    magnitudes = Math.max(magnitudes, name === "SGD" ? 0 : difference(tensor.abs(), other.abs()));
    flipped += unequal(tensor.sign(), other.sign()) * tensor.numel;
    weights += tensor.numel;
  }
  report.atMost(`${name}: masks of three rounds of SynFlow and Mag against the CPU's`, masks, 0, "share that differs");
  report.atMost(`${name}: magnitudes of the weights against the CPU's`, magnitudes, 0);
  report.atMost(`${name}: signs of the weights against the CPU's`, flipped / weights, signs, "share that differs");
}

function count(report: Report, name: string, { seen, live, flips }: Trained): void {
  report.must(`${name}: live tensors after each step`, new Set(live.slice(1)).size === 1, live.slice(1).join(" "));
  if (name !== "SGD")
    report.must(
      `${name}: signs flip`,
      flips.some((number) => number > 0),
      flips.join(" "),
    );
  if (report.device === "cpu") {
    report.skip(`${name}: waits, copies and memory`, "nothing waits for the CPU; live tensors stand above");
    return;
  }
  // Where each image lies and how it is moved, and its label: int64 each.
  const bytes = BATCH * 5 * 8;
  report.atMost(`${name}: waits a step`, Math.max(...seen.map(({ waits }) => waits)), 1, "most");
  report.atMost(`${name}: copies to the device a step`, Math.max(...seen.map(({ copies }) => copies)), 2, "most");
  report.atMost(
    `${name}: bytes copied there a step`,
    Math.max(...seen.map(({ copiedBytes }) => copiedBytes)),
    bytes,
    "most",
  );
  const held = seen.slice(2).map(({ allocated }) => allocated);
  const known = held.every((one) => one > 0);
  report.must(`${name}: bytes held there after each step`, known && new Set(held).size === 1, held.join(" "));
}

/** That a gradient or a loss that is not finite is refused, with nothing changed. */
export async function broken(report: Report): Promise<void> {
  useDevice(report.device);
  const { device } = report;
  const network = new Network({ arch: "ResNet20", numClasses: 10, width: 0.25, imageShape: [3, 16, 16] });
  network.initialise("kaiming_normal", 5);
  network.module.to({ device });
  const trainer = new Trainer(network, { ...settings, optimizer: "BOP" });
  const state = () => [...network.module.namedParameters()].map(([, tensor]) => tensor.toTypedArray().join()).join();
  const before = state();
  const input = ops.full([4, 3, 16, 16], Number.NaN, { device });
  const target = ops.zeros([4], { dtype: "int64", device });
  let said = "nothing";
  try {
    trainer.step({ input, target }, { epoch: 0, step: 0, totalSteps: 1 });
  } catch (error) {
    said = String(error).split("\n")[0] ?? "";
  }
  report.must("a NaN in the input is told", said.includes("the loss of step 1"), said.slice(0, 160));
  report.must(
    "and nothing has changed",
    state() === before && trainer.bop?.stateDict().size === 0,
    "weights, Bop's state",
  );
  trainer.dispose();
  network.dispose();
}
