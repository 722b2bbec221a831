import { noGrad, ops, scope, type Tensor } from "@peekaboo/torch";
import type { Batch } from "../../data/batch.js";
import type { Network } from "../../models/network.js";

/** The mean cross-entropy of a batch in float64, with the logits divided by `temperature`. */
export function batchLoss(network: Network, { input, target }: Batch, temperature = 1): Tensor {
  const logits = network.call(input.to({ dtype: "float64" }));
  return ops.crossEntropyLoss(temperature === 1 ? logits : logits.div(temperature), target);
}

/** Σ over the batches of `terms`(batch); what a batch needed is freed before the next one's turn. */
export function sumOverBatches(batches: readonly Batch[], terms: (batch: Batch) => Tensor[]): Tensor[] {
  let sums: Tensor[] = [];
  for (const batch of batches) {
    const before = sums;
    sums = scope(() => addAll(terms(batch), before));
  }
  return sums;
}

/** `terms` + `sums`, one by one, in the place of `sums`; an empty `sums` is zero. */
export function addAll(terms: Tensor[], sums: readonly Tensor[]): Tensor[] {
  return noGrad(() => terms.map((term, i) => sums[i]?.add_(term) ?? term.detach()));
}

/** Names the scores of the layers and divides them by their common sum, plus `epsilon`, in place. */
export function normalised(names: Iterable<string>, scores: readonly Tensor[], epsilon = 0): Map<string, Tensor> {
  return noGrad(() => {
    const sum = Math.abs(scores.reduce((total, score) => total + score.sum().item(), 0)) + epsilon;
    const named = [...names].map((name, i) => [name, scores[i]?.div_(sum)] as const);
    return new Map(named.flatMap(([name, score]) => (score === undefined ? [] : [[name, score]])));
  });
}
