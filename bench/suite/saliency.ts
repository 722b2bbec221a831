// SNIP and GraSP on a hundred images against the gradient that they are made of: one forward and backward pass.
import { grad, ops, scope } from "@peekaboo/torch";
import type { Batch } from "#peekaboo/data/batch";
import { pabOps } from "#peekaboo/native/library";
import { prune } from "#peekaboo/pruning/loop";
import { findPruner } from "#peekaboo/pruning/pruners/registry";
import { openBatches } from "../batches.js";
import { alternating, median, seconds, spreadOf } from "../statistics.js";
import type { Bench, Row, Setting } from "./bench.js";
import { doubled, plainNetwork, TARGET } from "./pruned.js";
import type { Workload } from "./workloads.js";

const IMAGES = 100;
/** The passes (forward and backward) that a pruner's definition takes: GraSP's second order counts as two. */
const PASSES = new Map([
  ["SNIP", 1],
  ["GraSP", 3],
]);

/** One batch of so many images. */
async function imagesOf(count: number): Promise<Batch[]> {
  const [first] = await openBatches(count, 1);
  if (first === undefined) throw new Error("no batch");
  return [{ input: ops.contiguous(first.input), target: first.target }];
}

async function compare(name: string, workload: Workload, setting: Setting): Promise<Row> {
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
    await prune(own, { ...TARGET, pruner: findPruner(name), iterations: 1, batches: () => batches });
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

export const saliency: Bench = {
  name: "saliency",
  about: "SNIP and GraSP on a hundred images against a plain gradient of them, float64",
  async run(setting) {
    pabOps().reuseMemory(true);
    const rows: Row[] = [];
    // One network: a hundred images of the larger ones take minutes.
    for (const workload of setting.workloads.filter(({ name }) => setting.quick || name === "ResNet18")) {
      for (const name of PASSES.keys()) {
        setting.say(`${workload.name}: ${name}`);
        rows.push(await compare(name, workload, setting));
      }
    }
    return { tables: rows.length === 0 ? [] : [{ title: "SNIP and GraSP, float64", rows }] };
  },
};
