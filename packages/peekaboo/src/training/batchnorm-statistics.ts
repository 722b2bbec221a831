import { RandomStream } from "@peekaboo/seed";
import { keep, manualSeed, nn, noGrad, scope } from "@peekaboo/torch";
import type { Config } from "../config/config.js";
import { epochOrder } from "../data/order.js";
import type { RunState } from "./run-state.js";
import type { SessionParts } from "./session-parts.js";

type Parts = Pick<SessionParts, "network" | "train" | "guard" | "reporter" | "ranks"> & {
  config: Config<"bnBatches" | "seed" | "dropout">;
  state: Pick<RunState, "epoch" | "step">;
  /** Images of a training batch on this rank. */
  batchShare: number;
};

/**
 * Does something while BatchNorm has the statistics of `bnBatches` training batches, their mean, and puts those back that
 * training goes on with; where that is 0, with training's own. Of several ranks the first one estimates, as the test gives its
 * statistics to the others.
 *
 * @throws {Interrupted} after a signal.
 */
export async function withEstimatedStatistics<T>(parts: Parts, act: () => Promise<T>): Promise<T> {
  const { config, network, ranks } = parts;
  if (config.bnBatches === 0) return await act();
  const layers = [...network.module.namedModules()].flatMap(([, module]) =>
    module instanceof nn.BatchNorm2d ? [module] : [],
  );
  const own = noGrad(() =>
    layers.flatMap((layer) => [...layer.namedBuffers()].map(([, tensor]) => ({ tensor, copy: keep(tensor.clone()) }))),
  );
  try {
    if (ranks.rank === 0) await estimate(parts, layers);
    return await act();
  } finally {
    for (const { tensor, copy } of own) {
      noGrad(() => tensor.copy_(copy));
      copy.dispose();
    }
  }
}

/** Sets the layers' statistics to the means over the first batches of the epoch that was trained. */
async function estimate(parts: Parts, layers: readonly nn.BatchNorm2d[]): Promise<void> {
  const { config, network, train, guard, reporter, ranks, state, batchShare } = parts;
  const { bnBatches, seed, dropout } = config;
  const order = ranks.trainingShare(epochOrder(seed, state.epoch, train.count)).subarray(0, bnBatches * batchShare);
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
