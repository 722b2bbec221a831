import { noGrad, ops, scope, type Tensor } from "@peekaboo/torch";
import type { Network } from "../models/network.js";
import type { Batches } from "./batches.js";

export interface Evaluation {
  images: number;
  /** Mean cross-entropy. */
  loss: number;
  /** Percent. */
  accuracy: number;
}

/** How many rows of logits [N, classes] are largest at their target, int64 [N]. */
export function countCorrect(logits: Tensor, target: Tensor): number {
  return scope(() => logits.argmax(1).eq(target).sum().item());
}

/**
 * Tests the network in evaluation mode on every image once.
 *
 * @param onBatch after each batch, with the images done; may wait
 */
export async function evaluate(
  network: Network,
  batches: Batches,
  batchSize: number,
  onBatch?: (done: number) => Promise<void> | void,
): Promise<Evaluation> {
  const wasTraining = network.module.training;
  network.module.eval();
  let loss = 0;
  let correct = 0;
  for (let start = 0; start < batches.count; start += batchSize) {
    const end = Math.min(start + batchSize, batches.count);
    noGrad(() =>
      scope(() => {
        const { input, target } = batches.plain(Int32Array.from({ length: end - start }, (_, i) => start + i));
        const logits = network.call(input);
        loss += ops.crossEntropyLoss(logits, target).item() * (end - start);
        correct += countCorrect(logits, target);
      }),
    );
    await onBatch?.(end);
  }
  network.module.train(wasTraining);
  const images = batches.count;
  return { images, loss: loss / images, accuracy: (100 * correct) / images };
}
