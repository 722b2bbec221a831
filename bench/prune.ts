// SynFlow in rounds on a random CIFAR network:
// node bench/dist/prune.js [ARCH=ResNet20] [ROUNDS=100] [REPETITIONS=3]
// SynFlow on an ImageNet network at 224 × 224, alternating with a plain float64 pass of the same all-ones image, in one process:
// node bench/dist/prune.js SynFlow [ARCH=resnet50] [ROUNDS=100]
// A pruner that looks at a hundred images, alternating with a plain float64 gradient of the same images, in one process:
// node bench/dist/prune.js SNIP|GraSP|gradient [ARCH=ResNet18] [BATCH=100] [REPETITIONS=5] ("gradient": that alone, for its memory)
import { grad, ones, ops, scope } from "@peekaboo/torch";
import type { Batch } from "#peekaboo/data/batch";
import { Network } from "#peekaboo/models/network";
import { pabOps } from "#peekaboo/native/library";
import { prune } from "#peekaboo/pruning/loop";
import type { Pruner } from "#peekaboo/pruning/pruner";
import { findPruner } from "#peekaboo/pruning/pruners/registry";
import { openBatches } from "./batches.js";
import { machine, median, peakMemory, refuseCollapsed, seconds, spread } from "./statistics.js";

const IMAGES = 100;
const target = { density: 0.3, schedule: "exponential", scope: "global", imageShape: [3, 32, 32] } as const;

/** The passes (forward and backward) that a pruner's definition takes: GraSP's second order counts as two. */
const PASSES: Readonly<Record<string, number>> = { SNIP: 1, GraSP: 3 };

function randomNetwork(arch: string, numClasses = 10): Network {
  const network = new Network({ arch, numClasses });
  network.initialise("kaiming_normal", 0);
  return network;
}

async function synFlow(arch = "ResNet20", rounds = "100", repetitions = "3"): Promise<void> {
  const times: number[] = [];
  for (let i = 0; i < Number(repetitions); i++) {
    const network = randomNetwork(arch);
    const begun = performance.now();
    await prune(network, { ...target, pruner: findPruner("SynFlow"), iterations: Number(rounds) });
    times.push((performance.now() - begun) / 1000);
    network.dispose();
  }
  console.log(`${arch}: ${rounds} rounds of SynFlow in ${spread(times, { digits: 2 })}; ${machine()}`);
}

/** A hundred images, so many at a time. */
async function batchesOf(size: number): Promise<Batch[]> {
  const [all] = await openBatches(IMAGES, 1);
  if (all === undefined) throw new Error("no batch");
  const counts = Array.from({ length: Math.ceil(IMAGES / size) }, (_, i) => Math.min(size, IMAGES - i * size));
  return counts.map((count, i) => ({
    input: ops.contiguous(all.input.narrow(0, i * size, count)),
    target: ops.contiguous(all.target.narrow(0, i * size, count)),
  }));
}

/** The gradient of the cross-entropy by the prunable weights, batch after batch, on a float64 network in evaluation mode. */
function plainGradient(arch: string, batches: readonly Batch[], losses: number[]): () => void {
  const network = randomNetwork(arch);
  network.module.to({ dtype: "float64" }).eval();
  const weights = [...network.prunable().values()].map(({ weight }) => weight);
  return () => {
    for (const { input, target } of batches) {
      scope(() => {
        const loss = ops.crossEntropyLoss(network.call(input.to({ dtype: "float64" })), target);
        grad([loss], weights);
        losses.push(loss.item());
      });
    }
  };
}

interface Cost {
  /** Seconds by the clock, and of all threads together, which a busy machine falsifies less. */
  clock: number;
  cpu: number;
}

async function costOf(body: () => unknown): Promise<Cost> {
  const [begun, before] = [performance.now(), process.cpuUsage()];
  await body();
  const { user, system } = process.cpuUsage(before);
  return { clock: (performance.now() - begun) / 1000, cpu: (user + system) / 1e6 };
}

async function againstGradient(name: string, arch = "ResNet18", batch = "100", repetitions = "5"): Promise<void> {
  pabOps().reuseMemory(process.env.REUSE !== "0");
  const batches = await batchesOf(Number(batch));
  const losses: number[] = [];
  const gradient = plainGradient(arch, batches, losses);
  const costs = { pruner: [] as Cost[], gradient: [] as Cost[] };
  for (let i = 0; i < Number(repetitions); i++) {
    costs.gradient.push(await costOf(gradient));
    if (name === "gradient") continue;
    const options = { ...target, pruner: findPruner(name), iterations: 1, batches: () => batches };
    const network = randomNetwork(arch);
    costs.pruner.push(await costOf(() => prune(network, options)));
    network.dispose();
  }
  refuseCollapsed(losses, "the plain gradient");
  console.log(`${arch}, ${IMAGES} images in batches of ${batch}; ${machine()}`);
  const passes = PASSES[name] ?? 1;
  for (const key of ["clock", "cpu"] as const) {
    const [pruner, pass] = [costs.pruner.map((cost) => cost[key]), costs.gradient.map((cost) => cost[key])];
    console.log(`plain gradient ${spread(pass, { digits: 2 })} (${key})`);
    if (name === "gradient") continue;
    const ratio = (median(pruner) / median(pass) / passes).toFixed(2);
    console.log(`${name} ${spread(pruner, { digits: 2 })} (${key}), ${ratio} of the ${passes} × that it needs`);
  }
}

/** A pass through a float64 network without masks, forward and backward, of one image of ones. */
function plainPass(arch: string, imageShape: readonly number[]): () => void {
  const network = randomNetwork(arch, 1000);
  network.module.to({ dtype: "float64" }).eval();
  const weights = [...network.prunable().values()].map(({ weight }) => weight);
  const image = ones([1, ...imageShape], { dtype: "float64" });
  return () =>
    scope(() => {
      grad([network.call(image).sum()], weights);
    });
}

/** A pruner that notes how long each of its passes takes. */
function timed(pruner: Pruner, times: number[]): Pruner {
  const noting =
    <A, B>(body: (value: A) => B) =>
    (value: A): B => {
      const begun = performance.now();
      const result = body(value);
      times.push((performance.now() - begun) / 1000);
      return result;
    };
  const { derivatives } = pruner;
  return {
    ...pruner,
    score: noting(pruner.score),
    ...(derivatives === undefined ? {} : { derivatives: noting(derivatives) }),
  };
}

/** The times of the real loop's rounds, which leave out the plain passes between them. */
async function againstPass(arch = "resnet50", rounds = "100"): Promise<void> {
  pabOps().reuseMemory(process.env.REUSE !== "0");
  const imageShape = [3, 224, 224];
  const pass = plainPass(arch, imageShape);
  const [passes, scores, all]: [number[], number[], number[]] = [[], [], []];
  const processor = { rounds: 0, passes: 0 };
  for (let i = 0; i < 3; i++) pass();
  const network = randomNetwork(arch, 1000);
  const iterations = Number(rounds);
  let begun = performance.now();
  let before = process.cpuUsage();
  const spent = () => {
    const { user, system } = process.cpuUsage(before);
    before = process.cpuUsage();
    return (user + system) / 1e6;
  };
  const onRound = () => {
    all.push((performance.now() - begun) / 1000);
    processor.rounds += spent();
    passes.push(seconds(pass));
    processor.passes += spent();
    begun = performance.now();
  };
  await prune(network, { ...target, imageShape, pruner: timed(findPruner("SynFlow"), scores), iterations, onRound });
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  const total = sum(all) + (performance.now() - begun) / 1000;
  const selection = sum(all.slice(1)) - sum(scores.slice(1));
  console.log(`${arch} at 224 × 224, ${rounds} rounds of SynFlow; ${machine()}`);
  console.log(`one plain pass ${spread(passes)}; one pass of the pruner ${spread(scores)}`);
  const [overMean, overMedian] = [sum(passes), iterations * median(passes)].map((cost) => (total / cost).toFixed(3));
  console.log(
    `in all ${total.toFixed(1)} s: ${overMedian} of as many median passes, ${overMean} of the passes in between`,
  );
  console.log(`a round ${spread(all)}: ${(median(all) / median(passes)).toFixed(3)} of a pass`);
  console.log(
    `processor time: ${((processor.rounds + spent()) / processor.passes).toFixed(3)} of the passes in between`,
  );
  console.log(`selection and masks ${((100 * selection) / sum(all.slice(1))).toFixed(1)} % of the rounds`);
}

const [first = "ResNet20", ...rest] = process.argv.slice(2);
if (first in PASSES || first === "gradient") await againstGradient(first, ...rest);
else if (first === "SynFlow") await againstPass(...rest);
else await synFlow(first, ...rest);
console.log(`peak memory ${peakMemory().toFixed(2)} GB`);
