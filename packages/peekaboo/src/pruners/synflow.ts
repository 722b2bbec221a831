import { grad, noGrad, ones, ops } from "@peekaboo/torch";
import type { Pruner } from "./pruner.js";

/**
 * Synaptic flow (Tanaka et al. 2020, eq. 1): |∂R/∂w ⊙ w| with R the sum of the outputs for an all-ones image, every
 * state tensor replaced by its absolute value.
 */
export const synFlow: Pruner = {
  name: "SynFlow",
  needsData: false,
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
    return noGrad(
      () => new Map(layers.map(([name, { weight }], i) => [name, ops.abs_((gradients[i] ?? weight).mul_(weight))])),
    );
  },
};
