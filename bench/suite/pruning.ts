// Pruning at initialisation: SynFlow's rounds against plain float64 passes of libtorch's operators, in one process, in turn; SNIP and
// GraSP against the gradient that they are made of.
import { grad, ones, ops, scope } from "@peekaboo/torch";
import type { Batch, Network, Pruner } from "peekaboo";
import { buildNetwork, findPruner, prune } from "peekaboo";
import { pabOps } from "#peekaboo/native/library";
import { openBatches } from "../batches.js";
import { alternating, median, seconds, spreadOf } from "../statistics.js";
import type { Bench, Limit, Row, Setting } from "./bench.js";
import { stockNetwork } from "./layers.js";
import { QUICK, WORKLOADS, type Workload } from "./workloads.js";

const ROUNDS = 100;
/** A plain pass comes after each of so many rounds. */
const EVERY = 5;
const IMAGES = 100;
const target = { density: 0.3, schedule: "exponential", scope: "global" } as const;
/** The passes (forward and backward) that a pruner's definition takes: GraSP's second order counts as two. */
const PASSES = new Map([
  ["SNIP", 1],
  ["GraSP", 3],
]);

const plainNetwork = ({ arch, width, numClasses, imageShape }: Workload): Network =>
  buildNetwork(arch, { width, numClasses, imageShape });

/** A float64 network in evaluation mode, and what its gradients are by. */
function doubled(network: Network) {
  network.module.to({ dtype: "float64" }).eval();
  return { network, weights: [...network.prunable().values()].map(({ weight }) => weight) };
}

/** A pass through libtorch's float64 network, forward and backward, of one image of ones. */
function plainPass(workload: Workload): { pass: () => void; network: Network } {
  const { network, weights } = doubled(stockNetwork(workload));
  const pass = () =>
    scope(() => {
      const image = ones([1, ...workload.imageShape], { dtype: "float64" });
      grad([network.call(image).sum()], weights);
    });
  return { pass, network };
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
  const { derivatives, score } = pruner;
  return {
    ...pruner,
    score: noting(score),
    ...(derivatives === undefined ? {} : { derivatives: noting(derivatives) }),
  };
}

interface Pruned {
  /** All rounds together, the copying of the network included. */
  seconds: number;
  /** What of the rounds wasn't the pruner's own: thresholds and masks. */
  selection: number;
  passes: number[];
}

/** SynFlow as the product does it, with plain passes between rounds, whose time is left out. */
async function synFlow(workload: Workload, iterations: number, pass: () => void): Promise<Pruned> {
  const [passes, scores, rounds]: [number[], number[], number[]] = [[], [], []];
  const network = plainNetwork(workload);
  let begun = performance.now();
  const onRound = (done: number) => {
    rounds.push((performance.now() - begun) / 1000);
    if (done % EVERY === 0 || iterations < EVERY) passes.push(seconds(pass));
    begun = performance.now();
  };
  await prune(network, { ...target, pruner: timed(findPruner("SynFlow"), scores), iterations, onRound });
  const total = sum(rounds) + (performance.now() - begun) / 1000;
  network.dispose();
  // The first round has the copy in it.
  const selection = (sum(rounds.slice(1)) - sum(scores.slice(1))) / sum(rounds.slice(1));
  return { seconds: total, selection, passes };
}

async function compareSynFlow(workload: Workload, { quick, repetitions }: Setting): Promise<[Row, Limit[]]> {
  const iterations = quick ? 3 : ROUNDS;
  const { pass, network } = plainPass(workload);
  pass();
  const runs: Pruned[] = [];
  const times = workload.imageShape[1] > 32 ? 1 : Math.min(3, repetitions);
  for (let i = 0; i < times; i++) runs.push(await synFlow(workload, iterations, pass));
  network.dispose();
  const passes = runs.flatMap((run) => run.passes);
  const all = spreadOf(runs.map((run) => run.seconds));
  const selection = spreadOf(runs.map((run) => 100 * run.selection));
  const ratio = all.median / (iterations * median(passes));
  const row = {
    network: workload.name,
    rounds: iterations,
    "SynFlow, s": all,
    "plain pass, s": spreadOf(passes),
    "ratio to as many": ratio,
    "selection, %": selection,
  };
  if (quick || !["ResNet18", "resnet50"].includes(workload.arch)) return [row, []];
  const share = {
    what: `${workload.arch}: selection, % of pruning`,
    value: selection.median,
    limit: 5,
    bound: "most",
  } as const;
  if (workload.arch !== "ResNet18") return [row, [share]];
  const what = "ResNet18: 100 rounds of SynFlow / 100 plain float64 passes of libtorch";
  return [row, [{ what, value: ratio, limit: 0.67, bound: "most" }, share]];
}

/** One batch of so many images. */
async function imagesOf(count: number): Promise<Batch[]> {
  const [first] = await openBatches(count, 1);
  if (first === undefined) throw new Error("no batch");
  return [{ input: ops.contiguous(first.input), target: first.target }];
}

async function compareGradient(name: string, workload: Workload, setting: Setting): Promise<Row> {
  const batches = await imagesOf(setting.quick ? 4 : IMAGES);
  const { network, weights } = doubled(plainNetwork(workload));
  const gradient = () => {
    for (const { input, target } of batches) {
      scope(() => {
        const logits = network.call(input.to({ dtype: "float64" }));
        grad([ops.crossEntropyLoss(logits, target)], weights);
      });
    }
  };
  const pruned = async () => {
    const own = plainNetwork(workload);
    const begun = performance.now();
    await prune(own, { ...target, pruner: findPruner(name), iterations: 1, batches: () => batches });
    const taken = (performance.now() - begun) / 1000;
    own.dispose();
    return taken;
  };
  const ways = new Map([
    ["gradient", async () => seconds(gradient)],
    ["pruner", pruned],
  ]);
  const times = await alternating(ways, setting.quick ? 1 : Math.min(3, setting.repetitions));
  network.dispose();
  const [passes, own] = [times.get("gradient") ?? [], times.get("pruner") ?? []];
  const needed = PASSES.get(name) ?? 1;
  return {
    pruner: name,
    network: workload.name,
    images: setting.quick ? 4 : IMAGES,
    seconds: spreadOf(own),
    "gradient, s": spreadOf(passes),
    "gradients needed": needed,
    "ratio to these": median(own) / median(passes) / needed,
  };
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

export const pruning: Bench = {
  name: "pruning",
  about:
    "SynFlow's rounds against plain float64 passes of libtorch, selection's share; SNIP and GraSP against a gradient",
  async run(setting) {
    pabOps().reuseMemory(true);
    const [rows, limits]: [Row[], Limit[]] = [[], []];
    const full = setting.workloads.filter(({ width, arch }) => width === 1 && arch !== "VGG16");
    const workloads = setting.quick ? [QUICK] : full;
    for (const workload of workloads) {
      setting.say(`${workload.name}: SynFlow`);
      const [row, own] = await compareSynFlow(workload, setting);
      rows.push(row);
      limits.push(...own);
    }
    const gradients: Row[] = [];
    const [small] = setting.quick
      ? [QUICK]
      : WORKLOADS.filter(({ name }) => name === "ResNet18" && full.some((one) => one.name === name));
    for (const name of small === undefined ? [] : PASSES.keys()) {
      setting.say(`${small?.name}: ${name}`);
      if (small !== undefined) gradients.push(await compareGradient(name, small, setting));
    }
    const tables = [{ title: "SynFlow, float64, one image of ones", rows }];
    return {
      tables: gradients.length === 0 ? tables : [...tables, { title: "SNIP and GraSP, float64", rows: gradients }],
      limits,
    };
  },
};
