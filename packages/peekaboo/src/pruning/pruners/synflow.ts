import { grad, noGrad, ones, ops, type Tensor } from "@peekaboo/torch";
import { pabOps } from "../../native/library.js";
import type { Pruner, ScoreContext } from "../pruner.js";

/**
 * Synaptic flow (Tanaka et al. 2020, eq. 1): |∂R/∂w ⊙ w| with R the sum of the outputs for an all-ones image, every
 * state tensor replaced by its absolute value.
 */
export const synFlow: Pruner = {
  name: "SynFlow",
  needsData: false,
  rounds: 100,
  prepare: (network) =>
    noGrad(() => {
      for (const tensor of network.module.stateDict().values()) ops.abs_(tensor);
    }),
  derivatives,
  score: (context) => {
    const scores = derivatives(context);
    const { scoreMagnitude_ } = pabOps();
    noGrad(() => {
      for (const [name, { weight }] of context.network.prunable()) {
        const gradient = scores.get(name);
        if (gradient !== undefined) scoreMagnitude_(gradient, weight);
      }
    });
    return scores;
  },
};

/** ∂R/∂w of each prunable weight, by state name. */
function derivatives({ network, imageShape }: ScoreContext): Map<string, Tensor> {
  const layers = [...network.prunable()];
  const weights = layers.map(([, { weight }]) => weight);
  const image = ones([1, ...imageShape], { dtype: "float64", device: weights[0]?.device ?? "cpu" });
  const flow = network.call(image).sum();
  const gradients = grad([flow], weights);
  return new Map(layers.map(([name], i) => [name, gradients[i] ?? flow]));
}
