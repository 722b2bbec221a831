import type { Tensor } from "@peekaboo/torch";
import type { ImageShape } from "../data/batch.js";
import { firstNonfinite, type Origin } from "../models/first-nonfinite.js";
import { isOutOfMemory, releaseMemory } from "../native/memory.js";
import { agree } from "./agreement.js";
import { type Evaluation, evaluate } from "./evaluation.js";
import { type AdvisedSettings, NonfiniteError } from "./nonfinite-error.js";
import type { RunState } from "./run-state.js";
import type { SessionParts } from "./session-parts.js";

const TEST_BATCH = 250;
/** Pixels that a batch of large images may have beyond which it is no larger than in training. */
const TEST_PIXELS = 2 ** 21;

type TestParts = Pick<SessionParts, "network" | "test" | "guard" | "reporter" | "ranks"> & {
  /** What to throw for a loss that is not finite; null for an origin on another rank. */
  nonfinite(loss: number, origin: Origin | null): Error;
};

type RunParts = Omit<TestParts, "nonfinite"> & {
  config: AdvisedSettings;
  state: Pick<RunState, "epoch" | "step">;
  /** Images of a training batch on this rank. */
  batchShare: number;
};

/** How many images [C, H, W] are tested at once, where a training batch has so many. */
export function testBatchSize(trainingBatch: number, [, height, width]: ImageShape): number {
  return Math.min(TEST_BATCH, Math.max(trainingBatch, Math.floor(TEST_PIXELS / (height * width))));
}

/**
 * Tests the network in the midst of a run, with a bar; all ranks with the BatchNorm statistics of rank 0. In smaller
 * batches where memory is short: a training batch that fits may be smaller than those of the test.
 *
 * @throws {NonfiniteError} when the loss is not finite, and Interrupted after a signal.
 */
export async function evaluateRun(parts: RunParts): Promise<Evaluation> {
  const { test, ranks, batchShare, state, config } = parts;
  const nonfinite: TestParts["nonfinite"] = (loss, origin) => NonfiniteError.test(loss, origin, state, config);
  for (let images = testBatchSize(batchShare, test.imageShape); ; images = Math.ceil(images / 2)) {
    try {
      return await testNetwork(images, { ...parts, nonfinite });
    } catch (error) {
      if (images === 1 || ranks.size > 1 || !isOutOfMemory(error)) throw error;
    }
  }
}

/**
 * Tests the network, with a bar; all ranks with the BatchNorm statistics of rank 0. Throws what `nonfinite` makes of a loss
 * that is not finite, and Interrupted after a signal.
 */
export async function testNetwork(batchSize: number, parts: TestParts): Promise<Evaluation> {
  const { network, test, guard, reporter, ranks, nonfinite } = parts;
  // One network is tested, and saved: with rank 0's statistics.
  await ranks.share(network.module.namedBuffers());
  reporter.begin?.({ kind: "test", total: Math.ceil(test.count / ranks.size) });
  try {
    let origin: Origin | null = null;
    const result = await evaluate(network, test, {
      batchSize,
      ranks,
      onBatch: async (done) => {
        reporter.advance?.(done);
        if (ranks.size === 1) await guard.check();
      },
      onNonfinite: (_: number, input: Tensor) => {
        origin ??= firstNonfinite(network, input);
      },
    });
    await agree(parts);
    if (!Number.isFinite(result.loss)) throw nonfinite(result.loss, origin);
    return result;
  } finally {
    releaseMemory();
    reporter.end?.();
  }
}
