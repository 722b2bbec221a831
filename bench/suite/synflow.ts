// SynFlow's rounds against plain float64 passes of libtorch's operators, in one process, in turn.
import { grad, Operator, ones, scope } from "@peekaboo/torch";
import type { Network } from "#peekaboo/models/network";
import { pabOps } from "#peekaboo/native/library";
import { prune } from "#peekaboo/pruning/loop";
import { findPruner } from "#peekaboo/pruning/pruners/registry";
import { median, seconds, spreadOf } from "../statistics.js";
import type { Bench, Limit, Row, Setting } from "./bench.js";
import { stockNetwork } from "./layers.js";
import { doubled, plainNetwork, TARGET } from "./pruned.js";
import type { Workload } from "./workloads.js";

const ROUNDS = 100;
/** A plain pass comes after each of so many rounds. */
const EVERY = 5;

/** A pass through a float64 network, forward and backward, of one image of ones. */
function plainPass(own: Network, imageShape: readonly number[]): Plain {
  const { network, weights } = doubled(own);
  const pass = () =>
    scope(() => {
      const image = ones([1, ...imageShape], { dtype: "float64" });
      grad([network.call(image).sum()], weights);
    });
  pass();
  return { pass, network, times: [] };
}

interface Plain {
  readonly network: Network;
  readonly times: number[];
  pass(): void;
}

interface Pruned {
  /** All rounds together, the copying of the network included. */
  seconds: number;
  /** Of these, the operators' that find thresholds and set weights to zero. */
  selection: number;
}

const SELECTS = /^peekaboo::(kth_|zero_|keep_)/;

/** Seconds that the operators of selection take while `run` does. */
async function selecting(run: () => Promise<unknown>): Promise<number> {
  const { call } = Operator.prototype;
  let total = 0;
  Operator.prototype.call = function (...args) {
    if (!SELECTS.test(this.name)) return call.apply(this, [...args]);
    const begun = performance.now();
    const result = call.apply(this, [...args]);
    total += performance.now() - begun;
    return result;
  };
  try {
    await run();
  } finally {
    Operator.prototype.call = call;
  }
  return total / 1000;
}

/** SynFlow as the product does it, with plain passes between rounds, whose time is left out. */
async function synFlow(workload: Workload, iterations: number, plain: readonly Plain[]): Promise<Pruned> {
  const rounds: number[] = [];
  const network = plainNetwork(workload);
  let begun = performance.now();
  const onRound = (done: number) => {
    rounds.push((performance.now() - begun) / 1000);
    if (done % EVERY === 0 || iterations < EVERY) for (const { pass, times } of plain) times.push(seconds(pass));
    begun = performance.now();
  };
  const selection = await selecting(() =>
    prune(network, { ...TARGET, pruner: findPruner("SynFlow"), iterations, onRound }),
  );
  const total = sum(rounds) + (performance.now() - begun) / 1000;
  network.dispose();
  return { seconds: total, selection };
}

async function compare(workload: Workload, { quick, repetitions }: Setting): Promise<[Row, Limit[]]> {
  const iterations = quick ? 3 : ROUNDS;
  const { imageShape } = workload;
  const stock = plainPass(stockNetwork(workload), imageShape);
  const own = plainPass(plainNetwork(workload), imageShape);
  const runs: Pruned[] = [];
  const times = imageShape[1] > 32 ? 1 : Math.min(3, repetitions);
  for (let i = 0; i < times; i++) runs.push(await synFlow(workload, iterations, [stock, own]));
  for (const { network } of [stock, own]) network.dispose();
  const all = spreadOf(runs.map((run) => run.seconds));
  const selection = spreadOf(runs.map((run) => (100 * run.selection) / run.seconds));
  const ratioTo = ({ times }: Plain) => all.median / (iterations * median(times));
  const row = {
    network: workload.name,
    rounds: iterations,
    "SynFlow, s": all,
    "plain pass of libtorch, s": spreadOf(stock.times),
    "ratio to as many": ratioTo(stock),
    "with our convolutions, s": spreadOf(own.times),
    "ratio to as many of these": ratioTo(own),
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
  return [row, [{ what, value: ratioTo(stock), limit: 0.67, bound: "most" }, share]];
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

export const synflow: Bench = {
  name: "synflow",
  about: "100 rounds of SynFlow against plain float64 passes of libtorch, and the share of selection",
  async run(setting) {
    pabOps().reuseMemory(true);
    const [rows, limits]: [Row[], Limit[]] = [[], []];
    for (const workload of setting.workloads) {
      setting.say(`${workload.name}: SynFlow`);
      const [row, own] = await compare(workload, setting);
      rows.push(row);
      limits.push(...own);
    }
    return { tables: [{ title: "SynFlow, float64, one image of ones", rows }], limits };
  },
};
