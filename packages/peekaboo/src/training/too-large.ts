import type { UserError } from "@peekaboo/torch";
import type { Config } from "../config/config.js";
import { batchTooLarge, largestFitting } from "./memory.js";
import type { RunState } from "./run-state.js";
import type { SessionParts } from "./session-parts.js";
import type { Trainer } from "./trainer.js";

type Parts = Pick<SessionParts, "ranks" | "reporter"> & {
  config: Config<"batchSize" | "seed">;
  train: Pick<SessionParts["train"], "training">;
  trainer: Pick<Trainer, "step">;
  state: Pick<RunState, "epoch" | "position">;
};

/**
 * The error for a batch of `order`'s images that doesn't fit in memory, with one that does: found by steps of a run that
 * ends here, unsaved. With several ranks none is looked for, since the others wait.
 */
export async function tooLarge(
  { config, ranks, reporter, train, trainer, state }: Parts,
  cause: Error,
  order: Int32Array,
): Promise<UserError> {
  const { batchSize, seed } = config;
  if (ranks.size > 1) return batchTooLarge(cause, batchSize, undefined, ranks.size);
  reporter.note?.(`a batch of ${batchSize} images doesn't fit in memory; looking for one that does.`);
  const fitting = await largestFitting(Math.min(batchSize, order.length), {
    batches: (images) => train.training(order.subarray(0, images), images, seed, state.epoch),
    step: (batch) => void trainer.step(batch, state.position),
  });
  return batchTooLarge(cause, batchSize, fitting);
}
