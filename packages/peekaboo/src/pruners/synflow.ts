import { grad, noGrad, ones, ops } from "@peekaboo/torch";
import { pabOps } from "../native/library.js";
import type { Pruner } from "./pruner.js";

/**
 * Synaptic flow (Tanaka et al. 2020, eq. 1): |∂R/∂w ⊙ w| with R the sum of the outputs for an all-ones image, every
 * state tensor replaced by its absolute value.
 */
export const synFlow: Pruner = {
  name: "SynFlow",
  needsData: false,
  cutsForGood: true,
  prepare: (network) =>
    noGrad(() => {
      for (const tensor of network.module.stateDict().values()) ops.abs_(tensor);
    }),
  score: ({ network, imageShape }) => {
    const layers = [...network.prunable()];
    const weights = layers.map(([, { weight }]) => weight);
    const image = ones([1, ...imageShape], { dtype: "float64", device: weights[0]?.device ?? "cpu" });
    const flow = network.call(image).sum();
    const gradients = grad([flow], weights);
    const { scoreMagnitude_ } = pabOps();
    return noGrad(() => {
      for (const [i, gradient] of gradients.entries()) scoreMagnitude_(gradient, weights[i] ?? gradient);
      return new Map(layers.map(([name], i) => [name, gradients[i] ?? flow]));
    });
  },
};
