// The ways of training a network that are compared, each as a step to take again and again.
import { ops, optim, scope, watchCalls } from "@peekaboo/torch";
import { networkOptions } from "#peekaboo/checkpoint/checkpoint";
import { parseConfig } from "#peekaboo/config/config";
import type { Batch } from "#peekaboo/data/batch";
import { type Convolution, DEFAULT_CONVOLUTION } from "#peekaboo/layers/masked-conv2d";
import { THE_PAPERS } from "#peekaboo/layers/psg-conv2d";
import { Network } from "#peekaboo/models/network";
import { pabOps } from "#peekaboo/native/library";
import { Trainer } from "#peekaboo/training/trainer";
import { randomBatches } from "../batches.js";
import { composedNetwork, stockNetwork } from "./layers.js";
import { psgName, type Workload } from "./workloads.js";

/**
 * `psg`: ours, as `peekaboo train` does it; `exact`: the same with `--conv exact`; `stock`: all weights by SGD, libtorch's operators alone;
 * `composed`: the original's way.
 */
export const WAYS = ["psg", "exact", "stock", "composed"] as const;
export type Way = (typeof WAYS)[number];

/** Whether a way is ours, with our memory and layout. */
export function isOurs(way: Way): boolean {
  return way === "psg" || way === "exact";
}

/** One step on a batch; its loss. */
type Step = (batch: Batch) => number;

/** So small that no network runs away on a few batches: the time doesn't depend on it. */
const RATES = { lr: 0.01, momentum: 0.9, weightDecay: 5e-4 };
const BOP = { ar: 1e-4, tau: 1e-6 };
const DENSITY = 0.3;

/** Random batches: the time doesn't depend on what the images show, and a data set would count in the memory. */
export function batchesOf({ batch, imageShape, numClasses }: Workload): Batch[] {
  return randomBatches([batch, ...imageShape], numClasses);
}

/** Masks as pruning leaves them, but at random. */
function mask(network: Network): void {
  scope(() => {
    const masks = [...network.prunable()].map(([name, { weight }]) => {
      const kept = ops.ltScalar(ops.rand(weight.shape), DENSITY).to({ dtype: "uint8" });
      return [name, kept] as const;
    });
    network.setMasks(new Map(masks));
  });
}

/** The network as `peekaboo train` builds it with the paper's settings, pruned, and its trainer. */
export function psgTrainer(
  { arch, width, numClasses, imageShape, batch }: Workload,
  conv: Convolution = DEFAULT_CONVOLUTION,
): Trainer {
  const config = parseConfig({
    conv,
    arch: psgName(arch),
    width,
    batchSize: batch,
    optimizer: "BOP",
    bop: BOP,
    sgd: RATES,
    psg: THE_PAPERS,
  });
  const network = new Network(networkOptions(config, numClasses, imageShape));
  network.initialise("kaiming_normal", 0);
  mask(network);
  return new Trainer(network, config);
}

function psgStep(workload: Workload, conv?: Convolution): Step {
  const trainer = psgTrainer(workload, conv);
  return (batch) => trainer.step(batch, { epoch: 0, step: 0, totalSteps: 1 }).loss;
}

/** Forward and backward pass, then what changes the weights. */
function plainStep(network: Network, update: () => void): Step {
  return ({ input, target }) =>
    scope(() => {
      network.module.zeroGrad();
      const loss = ops.crossEntropyLoss(network.call(input), target);
      loss.backward();
      update();
      return loss.item();
    });
}

function stockStep(workload: Workload): Step {
  const network = stockNetwork(workload);
  const sgd = new optim.SGD(network.module.namedParameters(), RATES);
  const step = plainStep(network, () => sgd.step());
  return (batch) => watchCalls(refuseOurs, () => step(batch));
}

/** Whoever makes the networks of operators of our own has to give this one others. */
function refuseOurs(operator: string): void {
  if (!operator.startsWith("aten::")) throw new Error(`${operator} is none of libtorch's, so this isn't its step`);
}

function composedStep(workload: Workload): Step {
  const { network, kept } = composedNetwork(workload);
  mask(network);
  const sgd = new optim.SGD(network.otherParameters(), RATES);
  const states = [...network.bopParameters().values()].map((weight) => ({
    weight,
    momentum: ops.zerosLike(weight.detach()),
    flips: ops.zerosLike(weight.detach(), { dtype: "int32" }),
  }));
  let first = true;
  const bop = () => {
    for (const { weight, momentum, flips } of states) {
      if (weight.grad !== null)
        pabOps().bopStepReference_(weight.detach(), momentum, weight.grad, flips, { ...BOP, first });
    }
    first = false;
  };
  const step = plainStep(network, () => {
    bop();
    sgd.step();
  });
  return (batch) => {
    const loss = step(batch);
    for (const tensor of kept.splice(0)) tensor.dispose();
    return loss;
  };
}

/** Builds what a way trains. */
export function stepOf(way: Way, workload: Workload): Step {
  if (way === "stock") return stockStep(workload);
  if (way === "composed") return composedStep(workload);
  return psgStep(workload, way === "exact" ? way : undefined);
}
