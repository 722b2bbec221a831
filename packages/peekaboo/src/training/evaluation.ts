import { noGrad, ops, scope, type Tensor } from "@peekaboo/torch";
import type { BatchSource } from "../data/batch-source.js";
import type { Network } from "../models/network.js";
import { readTogether } from "../read-together.js";
import { alone, type Ranks } from "./ranks.js";

export interface Evaluation {
  images: number;
  /** Mean cross-entropy. */
  loss: number;
  /** Percent. */
  accuracy: number;
  /** How often the class was among the five likeliest, in percent. */
  top5: number;
}

/** How many rows of logits [N, classes] are largest at their target, int64 [N]; int64 []. */
export function countCorrect(logits: Tensor, target: Tensor): Tensor {
  return scope(() => logits.argmax(1).eq(target).sum());
}

/** How many rows of logits [N, classes] have their target among the five largest; int64 []. */
function countTop5(logits: Tensor, target: Tensor): Tensor {
  const [, classes = 1] = logits.shape;
  return scope(() => {
    const [, places] = ops.topk(logits, Math.min(5, classes), 1);
    return places.eq(target.unsqueeze(1)).sum();
  });
}

export interface EvaluateParts {
  batchSize: number;
  /** The processes among which the images are divided. */
  ranks?: Ranks;
  /** After each batch, with the images done here; may wait. */
  onBatch?(done: number): Promise<void> | void;
  /** After a batch whose mean loss is not finite, with its images. */
  onNonfinite?(loss: number, input: Tensor): void;
}

/** Tests the network in evaluation mode on every image once. */
export async function evaluate(
  network: Pick<Network, "module" | "call">,
  source: BatchSource,
  parts: EvaluateParts,
): Promise<Evaluation> {
  const { batchSize, ranks = alone, onBatch, onNonfinite } = parts;
  const wasTraining = network.module.training;
  network.module.eval();
  const all = Int32Array.from({ length: source.count }, (_, i) => i);
  let [images, loss, correct, top5] = [0, 0, 0, 0];
  try {
    for await (const { input, target } of source.plain(batchSize, ranks.testShare(all))) {
      const count = target.numel;
      try {
        noGrad(() =>
          scope(() => {
            const logits = network.call(input);
            const mean = ops.crossEntropyLoss(logits, target);
            const counts = [countCorrect(logits, target), countTop5(logits, target)];
            const [[own = Number.NaN] = [], [first = 0] = [], [near = 0] = []] = readTogether([mean, ...counts]);
            if (!Number.isFinite(own)) onNonfinite?.(own, input);
            loss += own * count;
            correct += first;
            top5 += near;
          }),
        );
      } finally {
        input.dispose();
        target.dispose();
      }
      images += count;
      await onBatch?.(images);
    }
  } finally {
    network.module.train(wasTraining);
  }
  [images = 0, loss = 0, correct = 0, top5 = 0] = await ranks.sum([images, loss, correct, top5]);
  return { images, loss: loss / images, accuracy: (100 * correct) / images, top5: (100 * top5) / images };
}
