import { RandomStream } from "@peekaboo/seed";
import { keep, manualSeed, nn, noGrad, scope, type Tensor } from "@peekaboo/torch";
import type { Config } from "../config/config.js";
import type { Guard } from "../console/interrupt.js";
import { epochOrder } from "../data/order.js";
import type { Network } from "../models/network.js";
import type { RunState } from "./run-state.js";
import type { SessionParts } from "./session-parts.js";

type Parts = Pick<SessionParts, "network" | "train" | "reporter" | "ranks"> & {
  config: Config<"bnBatches" | "seed" | "dropout">;
  guard: Pick<Guard, "check">;
  state: Pick<RunState, "epoch" | "step">;
  /** Images of a training batch on this rank. */
  batchShare: number;
};

/** BatchNorm's statistics as they were. */
export class HeldStatistics {
  readonly #copies: readonly (readonly [own: Tensor, copy: Tensor])[];

  constructor({ module }: Pick<Network, "module">) {
    const own = batchNorms(module).flatMap((layer) => [...layer.namedBuffers()].map(([, tensor]) => tensor));
    this.#copies = noGrad(() => own.map((tensor) => [tensor, keep(tensor.clone())]));
  }

  /** Gives them back to the network. */
  putBack(): void {
    for (const [own, copy] of this.#copies) noGrad(() => own.copy_(copy));
  }

  /** Lets go of them. */
  [Symbol.dispose](): void {
    for (const [, copy] of this.#copies) copy.dispose();
  }
}

/**
 * Does something while BatchNorm has the statistics of `bnBatches` training batches, their mean, and puts those back that
 * training goes on with; where that is 0, with training's own. Of several ranks the first one estimates, as the test gives its
 * statistics to the others.
 *
 * @throws {Interrupted} after a signal.
 */
export async function withEstimatedStatistics<T>(parts: Parts, act: () => Promise<T>): Promise<T> {
  if (parts.config.bnBatches === 0) return await act();
  using own = new HeldStatistics(parts.network);
  try {
    if (parts.ranks.rank === 0) await estimateStatistics(parts);
    return await act();
  } finally {
    own.putBack();
  }
}

/**
 * Sets BatchNorm's statistics to the means over the first `bnBatches` batches of the epoch that was trained.
 *
 * @throws what the guard throws, with the statistics anything.
 */
export async function estimateStatistics(parts: Parts): Promise<void> {
  const { config, network, train, guard, reporter, ranks, state, batchShare } = parts;
  const { bnBatches, seed, dropout } = config;
  const order = ranks.trainingShare(epochOrder(seed, state.epoch, train.count)).subarray(0, bnBatches * batchShare);
  const layers = batchNorms(network.module);
  const momenta = layers.map(({ momentum }) => momentum);
  const wasTraining = network.module.training;
  if (dropout > 0) manualSeed(new RandomStream(seed, `statistics/${state.step}`).uint32(ranks.rank));
  network.module.train();
  reporter.begin?.({ kind: "statistics", total: Math.ceil(order.length / batchShare) });
  try {
    let done = 0;
    for await (const { input, target } of train.training(order, batchShare, seed, state.epoch)) {
      done++;
      // The mean of n values is that of n - 1 of them, moved by an nth of the way to the last.
      for (const layer of layers) layer.momentum = 1 / done;
      try {
        noGrad(() => scope(() => void network.call(input)));
      } finally {
        input.dispose();
        target.dispose();
      }
      reporter.advance?.(done);
      if (ranks.size === 1) await guard.check();
    }
  } finally {
    for (const [i, layer] of layers.entries()) layer.momentum = momenta[i] ?? layer.momentum;
    network.module.train(wasTraining);
    reporter.end?.();
  }
}

function batchNorms(module: nn.Module): nn.BatchNorm2d[] {
  return [...module.namedModules()].flatMap(([, own]) => (own instanceof nn.BatchNorm2d ? [own] : []));
}
