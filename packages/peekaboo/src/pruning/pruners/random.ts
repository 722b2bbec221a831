import { fillByInversion, RandomStream, uniformQuantile } from "@peekaboo/seed";
import { Tensor } from "@peekaboo/torch";
import type { Pruner } from "../pruner.js";

/** Uniform random scores that follow from the seed and the state name alone: later rounds remove more of the same order. */
export const random: Pruner = {
  name: "Rand",
  needsData: false,
  score: ({ network, seed }) =>
    new Map(
      [...network.prunable()].map(([name, { weight }]) => {
        const scores = new Float64Array(weight.numel);
        fillByInversion(scores, new RandomStream(seed, `prune/random/${name}`), uniformQuantile);
        return [name, Tensor.from(scores, { shape: weight.shape, share: true, device: weight.device })];
      }),
    ),
};
