import { restoreOptimizers } from "../checkpoint/checkpoint.js";
import type { Config } from "../config/config.js";
import { Interrupted } from "../console/interrupt.js";
import { refuseMinimum } from "../pruning/loop.js";
import type { LayerFlips } from "../runs/metrics.js";
import { withEstimatedStatistics } from "./batchnorm-statistics.js";
import { trainEpoch } from "./epoch-training.js";
import { evaluateRun } from "./evaluate-run.js";
import type { Evaluation } from "./evaluation.js";
import { keptWeights } from "./kept-weights.js";
import { pruneBeforeEpoch } from "./pruning-shots.js";
import { shareOfBatch } from "./ranks.js";
import { RunCheckpoints } from "./run-checkpoints.js";
import { RunState, runLength } from "./run-state.js";
import type { Prepared, SessionParts } from "./session-parts.js";
import { Trainer, type TrainerConfig } from "./trainer.js";

/** How a run ended. */
export interface Outcome {
  steps: number;
  epochs: number;
  /** Of the last epoch. */
  trainLoss: number;
  final: Evaluation;
  bestAccuracy: number;
  bestEpoch: number;
  flips: number;
  seconds: number;
  imagesPerSecond: number;
}

/** One run from the first pruning to the last test: the order of things, and what is written when. */
export class TrainingSession {
  readonly #started = performance.now();
  readonly #state: RunState;
  readonly #checkpoints: RunCheckpoints;
  /** What the session was given, and what it made of that. */
  readonly #parts: SessionParts & {
    trainer: Trainer;
    state: RunState;
    checkpoints: RunCheckpoints;
    batchShare: number;
  };

  /** Throws as {@link prepare}. */
  constructor(parts: SessionParts) {
    const { config, ranks, prepared = prepare(parts) } = parts;
    const { trainer, state } = prepared;
    this.#state = state;
    this.#checkpoints = new RunCheckpoints({ ...parts, trainer, state });
    const batchShare = shareOfBatch(config.batchSize, ranks.size);
    this.#parts = { ...parts, trainer, state, checkpoints: this.#checkpoints, batchShare };
  }

  /** Runs to the end. @throws {Interrupted}, with a checkpoint written, after a signal. */
  async run(): Promise<Outcome> {
    const { network, ranks, reporter } = this.#parts;
    const state = this.#state;
    await ranks.share(network.module.stateDict());
    await this.#checkpoints.prove();
    if (state.isOver) reporter.say?.(finishedInWords(state));
    try {
      const final = await this.#trainAndTest();
      await this.#parts.store.settle();
      return this.#outcome(final);
    } catch (error) {
      if (!(error instanceof Interrupted)) throw error;
      if (!state.saved) await this.#checkpoints.saveLatest();
      await this.#parts.store.settle();
      throw error;
    }
  }

  /** What is left of the run; the last test's result. */
  async #trainAndTest(): Promise<Evaluation> {
    const state = this.#state;
    let final: Evaluation | null = null;
    if (!state.tested && state.epochIsOver) final = await this.#test();
    while (!state.isOver) {
      state.enterEpoch();
      await pruneBeforeEpoch(this.#parts);
      if (state.step === 0) await this.#checkpoints.saveLatest();
      await trainEpoch(this.#parts);
      final = await this.#test();
    }
    return final ?? (await withEstimatedStatistics(this.#parts, () => evaluateRun(this.#parts)));
  }

  async #test(): Promise<Evaluation> {
    const { result, best } = await withEstimatedStatistics(this.#parts, () => this.#testAndKeepBest());
    await this.#checkpoints.saveLatest();
    this.#tellEpoch(result, best);
    return result;
  }

  async #testAndKeepBest(): Promise<{ result: Evaluation; best: boolean }> {
    const { metrics, folder } = this.#parts;
    const state = this.#state;
    const result = await evaluateRun(this.#parts);
    const best = state.judge(result.accuracy);
    const { epoch, step, means } = state;
    metrics?.write({ kind: "epoch", epoch, step, ...means.line() });
    const layers = this.#flipsByLayer();
    if (layers.length > 0) metrics?.write({ kind: "flips", epoch, step, layers });
    const { loss, accuracy, top5 } = result;
    metrics?.write({ kind: "eval", epoch, step, loss, accuracy, top5, best });
    // Before the latest checkpoint: a run killed in between tests again, and finds the best again.
    if (best) await this.#checkpoints.saveCopy(folder.best);
    return { result, best };
  }

  /** The epoch's flips of each of Bop's parameters. */
  #flipsByLayer(): LayerFlips[] {
    const { layerFlips } = this.#state.means;
    const kept = layerFlips.size === 0 ? layerFlips : keptWeights(this.#parts.network);
    return [...layerFlips].map(([name, flips]) => ({ name, flips, kept: kept.get(name) ?? 0 }));
  }

  #tellEpoch(result: Evaluation, best: boolean): void {
    const { epoch, means } = this.#state;
    const { numClasses } = this.#parts.network.options;
    const secondsLeft = this.#state.secondsLeft(this.#seconds);
    this.#parts.reporter.epoch?.({ epoch, means, result, best, numClasses, secondsLeft });
  }

  #outcome(final: Evaluation): Outcome {
    const { step, epoch, means, best, flips, imagesPerSecond } = this.#state;
    return {
      steps: step,
      epochs: epoch + 1,
      trainLoss: means.loss,
      final,
      bestAccuracy: best.accuracy,
      bestEpoch: best.epoch,
      flips,
      seconds: this.#seconds,
      imagesPerSecond,
    };
  }

  /** Since the session was made. */
  get #seconds(): number {
    return (performance.now() - this.#started) / 1000;
  }
}

/**
 * What trains a network and where its run stands, at the beginning or at a checkpoint.
 *
 * @param planned the steps at which to test amid an epoch
 * @throws {UserError} when a setting doesn't fit the network or the ranks. With several ranks, blocks until all are here.
 */
export function prepare(
  {
    config,
    network,
    train,
    start,
    ranks,
  }: Pick<SessionParts, "network" | "train" | "start" | "ranks"> & {
    config: TrainerConfig & Config<"epochs" | "batchSize" | "maxSteps" | "pruning">;
  },
  planned: readonly number[] = [],
): Prepared {
  shareOfBatch(config.batchSize, ranks.size);
  const { pruning } = config;
  // Not only at the shot, which may be epochs away.
  if (pruning !== null) refuseMinimum(network, pruning.minKept, pruning.density);
  const trainer = new Trainer(network, config, ranks);
  if (start !== null) restoreOptimizers(trainer, start);
  return { trainer, state: new RunState(runLength(config, train.count), start?.progress, planned) };
}

function finishedInWords({ step, totalSteps }: RunState): string {
  const done =
    step === totalSteps ? `all ${totalSteps} steps are done` : `${step} steps are done, of ${totalSteps} asked for`;
  return `The run is finished: ${done}.`;
}
