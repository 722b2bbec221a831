import { grad, noGrad, scope, type Tensor } from "@peekaboo/torch";
import type { Batch } from "../../data/batch.js";
import type { Pruner } from "../pruner.js";
import { addAll, batchLoss, normalised, sumOverBatches } from "./gradients.js";

/** What the logits are divided by (docs/algorithm.md §2). */
const TEMPERATURE = 200;

/**
 * Gradient signal preservation (Wang et al. 2020): w ⊙ Hg over |its sum|, g the gradient of the training images'
 * cross-entropy and H its Hessian, both Σ over the batches. The largest stay: removing them would cost most gradient flow.
 * A removed weight scores 0, in the midst of the others: in later rounds it may return, or tie with the threshold.
 */
export const grasp: Pruner = {
  name: "GraSP",
  needsData: true,
  score: ({ network, batches }) => {
    const layers = [...network.prunable()];
    const weights = layers.map(([, { weight }]) => weight);
    const [first, ...rest] = batches;
    if (first === undefined) throw new TypeError("GraSP: expected a batch of images");
    const gradients = (batch: Batch, createGraph: boolean) =>
      grad([batchLoss(network, batch, TEMPERATURE)], weights, { createGraph });
    const partial = sumOverBatches(rest, (batch) => gradients(batch, false));
    // H of one batch times `g`: the gradient of <g, ∂L/∂w>, g held constant.
    const hessianProduct = (own: Tensor[], g: Tensor[]) => grad(own, weights, { gradients: g });
    // The first batch's gradient completes g and is then differentiated itself: one pass for both.
    const [g, product] = scope(() => {
      const own = gradients(first, true);
      const whole = addAll(own, partial);
      return [whole, hessianProduct(own, whole)] as const;
    });
    const others = sumOverBatches(rest, (batch) => hessianProduct(gradients(batch, true), g));
    const products = others.length === 0 ? product : addAll(others, product);
    const scores = noGrad(() => products.map((hg, i) => hg.mul_(weights[i] ?? hg)));
    return normalised(
      layers.map(([name]) => name),
      scores,
      1e-10,
    );
  },
};
