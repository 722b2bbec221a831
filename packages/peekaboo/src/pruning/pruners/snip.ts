import { grad, noGrad, ops, type Tensor } from "@peekaboo/torch";
import type { Network } from "../../models/network.js";
import type { Pruner } from "../pruner.js";
import { batchLoss, normalised, sumOverBatches } from "./gradients.js";

/**
 * Connection sensitivity (SNIP, Lee et al. 2019): |∂L/∂mask| over its sum, L the cross-entropy of the training images.
 * It is the gradient at the mask in force, so a weight that an earlier round removed has one too, and may return.
 */
export const snip: Pruner = {
  name: "SNIP",
  needsData: true,
  score: ({ network, batches }) =>
    withMaskGradients(network, (variables) => {
      const layers = [...network.prunable()];
      const gradients = sumOverBatches(batches, (batch) => grad([batchLoss(network, batch)], variables));
      const scores = noGrad(() =>
        gradients.map((gradient, i) => {
          const layer = layers[i]?.[1];
          // Where no mask stands, all is kept, and ∂L/∂mask = w ⊙ ∂L/∂w.
          return ops.abs_(layer?.mask === null ? gradient.mul_(layer.weight) : gradient);
        }),
      );
      return normalised(
        layers.map(([name]) => name),
        scores,
      );
    }),
};

/** Runs `body` with what to differentiate by, a layer each: its mask, in float64 for the time, or the weight if it has none. */
function withMaskGradients<Result>(network: Network, body: (variables: Tensor[]) => Result): Result {
  const layers = [...network.prunable().values()];
  const masked = layers.filter(({ mask }) => mask !== null);
  setMaskDtype(masked, "float64");
  try {
    return body(layers.map(({ mask, weight }) => mask?.requireGrad() ?? weight));
  } finally {
    setMaskDtype(masked, "uint8");
  }
}

function setMaskDtype(
  layers: readonly { mask: Tensor | null; setMask(mask: Tensor): void }[],
  dtype: "float64" | "uint8",
): void {
  noGrad(() => {
    for (const layer of layers) if (layer.mask !== null) layer.setMask(layer.mask.to({ dtype }));
  });
}
