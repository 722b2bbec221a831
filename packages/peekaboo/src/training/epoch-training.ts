import { RandomStream } from "@peekaboo/seed";
import { manualSeed } from "@peekaboo/torch";
import type { Config } from "../config/config.js";
import { Interrupted } from "../console/interrupt.js";
import { epochOrder } from "../data/order.js";
import { isOutOfMemory } from "../native/memory.js";
import { type NonfiniteError, tooManySkipped } from "./nonfinite-error.js";
import type { ReportedStep } from "./reporter.js";
import type { RunCheckpoints } from "./run-checkpoints.js";
import type { RunState } from "./run-state.js";
import type { SessionParts } from "./session-parts.js";
import { SharedStep } from "./shared-step.js";
import { tooLarge } from "./too-large.js";
import type { StepResult, Trainer } from "./trainer.js";
import { EpochWarnings } from "./warnings.js";

/** So many batches skipped in a row end the run: the network, not the batch, is at fault. */
const MOST_SKIPPED = 20;

type Parts = Pick<SessionParts, "network" | "train" | "guard" | "reporter" | "ranks" | "metrics"> & {
  config: Config<"seed" | "dropout" | "bop" | "sgd" | "onNan" | "loadPretrained" | "batchSize">;
  trainer: Pick<Trainer, "step">;
  state: RunState;
  checkpoints: RunCheckpoints;
  /** Images of a batch on this rank. */
  batchShare: number;
};

/**
 * Trains what is left of the state's epoch.
 * @throws {Interrupted} after a signal, and UserError for what the user can mend.
 */
export async function trainEpoch(parts: Parts): Promise<void> {
  const { config, network, train, guard, reporter, state, checkpoints, batchShare } = parts;
  const order = orderLeft(parts);
  state.beginSteps();
  const { epoch, epochs, epochStep, epochSteps } = state;
  const warnings = new EpochWarnings(network, config, (text) => reporter.warn?.(text));
  const step = new SharedStep(parts);
  network.module.train();
  let begun = performance.now();
  reporter.begin?.({ kind: "epoch", epoch, epochs, total: epochSteps, done: epochStep });
  try {
    for await (const batch of train.training(order, batchShare, config.seed, state.epoch)) {
      seedDropout(parts);
      const result = await step.take(batch, state.position);
      const seconds = (performance.now() - begun) / 1000;
      begun = performance.now();
      if ("skipped" in result) {
        countSkipped(parts, result.skipped);
        warnings.skip(result.skipped, state.step);
        reporter.skip?.(state);
      } else {
        countStep(parts, result, seconds);
        warnings.step(result, state.step);
        reporter.step?.(reported(state, result, seconds));
      }
      if (result.stop) throw new Interrupted((await guard.pending()) ?? "SIGTERM");
      if (!result.save) continue;
      await checkpoints.saveLatest();
      begun = performance.now();
    }
    warnings.end(state.epoch, state.means);
  } catch (error) {
    throw isOutOfMemory(error) ? await tooLarge(parts, error, order) : error;
  } finally {
    reporter.end?.();
  }
}

/** This rank's images for the steps that are left of the epoch. */
function orderLeft({ config, train, ranks, state, batchShare }: Parts): Int32Array {
  const order = ranks.trainingShare(epochOrder(config.seed, state.epoch, train.count));
  return order.subarray(state.epochStep * batchShare, state.epochSteps * batchShare);
}

/** Dropout draws from libtorch's generator: seeded anew, each step's draws follow from the step alone. */
function seedDropout({ config, ranks, state }: Parts): void {
  if (config.dropout > 0) manualSeed(new RandomStream(config.seed, `dropout/${state.step}`).uint32(ranks.rank));
}

function countStep({ metrics, state }: Parts, result: StepResult, seconds: number): void {
  const { loss, correct, images, flips, lr, ar } = result;
  state.add(result, seconds);
  metrics?.write({
    kind: "step",
    epoch: state.epoch,
    step: state.step,
    loss,
    accuracy: (100 * correct) / images,
    flips,
    imagesPerSecond: images / seconds,
    lr,
    ...(ar === undefined ? {} : { ar }),
  });
}

function reported(
  { epoch, epochStep, epochSteps, means }: RunState,
  result: StepResult,
  seconds: number,
): ReportedStep {
  return { epoch, epochStep, epochSteps, means, result, seconds };
}

/** Counts a step that left the network as it was. @throws {UserError} when there were too many. */
function countSkipped({ config, metrics, state }: Parts, skipped: NonfiniteError): void {
  const { what, where } = skipped;
  state.skip();
  metrics?.write({ kind: "skip", epoch: state.epoch, step: state.step, what, where });
  const { skippedInARow, steps } = state.means;
  if (skippedInARow >= MOST_SKIPPED) throw tooManySkipped(skippedInARow, skipped, config);
  // An epoch of which nothing is left has no means.
  if (steps === 0 && state.epochIsOver) throw tooManySkipped(skippedInARow, skipped, config);
}
