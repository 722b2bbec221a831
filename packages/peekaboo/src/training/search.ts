import { UserError } from "@peekaboo/torch";
import { type BopConfig, type Config, parseConfig, type SgdConfig, type TrainConfig } from "../config/config.js";
import type { Images } from "../data/images.js";
import { epochOrder } from "../data/order.js";
import type { Network } from "../models/network.js";
import { estimateStatistics, HeldStatistics } from "./batchnorm-statistics.js";
import { EpochMeans } from "./epoch-means.js";
import { type Evaluation, evaluate } from "./evaluation.js";
import { alone } from "./ranks.js";
import type { Reporter } from "./reporter.js";
import { type StepResult, Trainer } from "./trainer.js";
import { EpochWarnings } from "./warnings.js";

/** How {@link train} trains. */
export interface TrainOptions {
  /** What on: see {@link imagesOf}. */
  data: Images;
  epochs: number;
  /** Images a step; default: 128. */
  batchSize?: number;
  /** "BOP", the default, learns the convolutions' signs; "BOP2" does with second-order averages; "SGD" trains all weights. */
  optimizer?: TrainConfig["optimizer"];
  /** γ (`ar`) and τ (`tau`) of Bop, with their schedules; default: 1e-3 and 1e-6, a step schedule. */
  bop?: Partial<BopConfig>;
  /** SGD of BatchNorm and the output layer; default: lr 0.1, momentum 0.9, weight decay 5e-4. */
  sgd?: Partial<SgdConfig>;
  /** Part of the target that is spread evenly over all classes while training, from 0 to below 1; default: 0. */
  labelSmoothing?: number;
  /**
   * For each test, BatchNorm's statistics are estimated over so many training batches; the network has them until training goes on,
   * so a network that is saved then, or after the last epoch, is the tested one. Default: 0, training's moving averages.
   */
  bnBatches?: number;
  /** What order and augmentation follow from; default: 0. */
  seed?: number;
  /** Stops before the next step, by throwing its reason. */
  signal?: AbortSignal;
  /** After each step. */
  onStep?(step: TrainedStep): void;
  /** Hears of the training as that of `peekaboo train` is heard of. */
  reporter?: Reporter;
}

/** A step of {@link train}. */
export interface TrainedStep extends StepResult {
  /** From 0. */
  epoch: number;
  /** Of all, from 1. */
  step: number;
  totalSteps: number;
}

/** An epoch of {@link train}. */
export interface TrainedEpoch {
  /** From 1. */
  number: number;
  /** Means over the epoch's steps: the loss and accuracy (percent) of an image, and how many signs a step changed. */
  train: { loss: number; accuracy: number; flips: number };
  /** On the test images, after it. */
  test: Evaluation;
}

/**
 * Trains a network as `peekaboo train` does, and gives each epoch as it ends; what is left of a loop that is left early isn't
 * trained. The same seed gives the same numbers on the same machine and thread count.
 *
 * @throws {UserError} for settings that don't go together, or when the loss is not finite.
 */
export async function* train(network: Network, options: TrainOptions): AsyncGenerator<TrainedEpoch, void, void> {
  const { data, epochs, batchSize = 128, optimizer = "BOP", bop = {}, sgd = {}, seed = 0, reporter = {} } = options;
  const { labelSmoothing = 0, bnBatches = 0 } = options;
  const config = parseConfig({ epochs, batchSize, optimizer, bop, sgd, seed, labelSmoothing, bnBatches });
  refuseOtherShape(network, data);
  const { numClasses } = network.options;
  const trainer = new Trainer(network, config);
  const began = performance.now();
  let highest = Number.NEGATIVE_INFINITY;
  try {
    for (let epoch = 0; epoch < epochs; epoch++) {
      const parts = { ...options, reporter, network, config, trainer };
      const means = await trainEpoch(epoch, parts);
      using own = bnBatches === 0 ? null : new HeldStatistics(network);
      await estimate(epoch, parts, own);
      reporter.begin?.({ kind: "test", total: data.test.count });
      const onBatch = (done: number) => reporter.advance?.(done);
      const test = await evaluate(network, data.test, { batchSize, onBatch });
      reporter.end?.();
      const best = test.accuracy > highest;
      highest = Math.max(highest, test.accuracy);
      const secondsLeft = ((performance.now() - began) / 1000 / (epoch + 1)) * (epochs - epoch - 1);
      reporter.epoch?.({ epoch, means, result: test, best, numClasses, secondsLeft });
      const { loss, accuracy, flips } = means;
      yield { number: epoch + 1, train: { loss, accuracy, flips }, test };
      if (epoch + 1 < epochs) own?.putBack();
    }
  } finally {
    reporter.end?.();
    trainer.dispose();
  }
}

type Parts = Pick<TrainOptions, "data" | "signal" | "onStep"> & {
  network: Network;
  config: Config<"epochs" | "batchSize" | "seed" | "bop" | "sgd" | "bnBatches">;
  trainer: Trainer;
  reporter: Reporter;
};

async function trainEpoch(epoch: number, parts: Parts): Promise<EpochMeans> {
  const { data, signal, onStep, network, config, trainer, reporter } = parts;
  const { epochs, batchSize, seed } = config;
  const epochSteps = Math.ceil(data.train.count / batchSize);
  const totalSteps = epochs * epochSteps;
  const means = new EpochMeans();
  const warnings = new EpochWarnings(network, config, (text) => reporter.warn?.(text));
  const order = epochOrder(seed, epoch, data.train.count);
  network.module.train();
  reporter.begin?.({ kind: "epoch", epoch, epochs, total: epochSteps, done: 0 });
  let epochStep = 0;
  for await (const batch of data.train.training(order, batchSize, seed, epoch)) {
    try {
      signal?.throwIfAborted();
      const begun = performance.now();
      const result = trainer.step(batch, { epoch, step: epoch * epochSteps + epochStep, totalSteps });
      const seconds = (performance.now() - begun) / 1000;
      const step = epoch * epochSteps + ++epochStep;
      means.add(result, seconds);
      warnings.step(result, step);
      reporter.step?.({ epoch, epochStep, epochSteps, means, result, seconds });
      onStep?.({ ...result, epoch, step, totalSteps });
    } finally {
      batch.input.dispose();
      batch.target.dispose();
    }
  }
  warnings.end(epoch, means);
  reporter.end?.();
  return means;
}

/** BatchNorm's statistics for the test, where training's own are held. */
async function estimate(epoch: number, parts: Parts, own: HeldStatistics | null): Promise<void> {
  if (own === null) return;
  const { data, network, config, reporter, signal } = parts;
  const { batchSize, bnBatches, seed } = config;
  const guard = { check: async () => signal?.throwIfAborted() };
  const settings = { bnBatches, seed, dropout: network.options.dropout ?? 0 };
  const state = { epoch, step: (epoch + 1) * Math.ceil(data.train.count / batchSize) };
  try {
    const { train } = data;
    await estimateStatistics({
      config: settings,
      network,
      train,
      guard,
      reporter,
      ranks: alone,
      state,
      batchShare: batchSize,
    });
  } catch (error) {
    own.putBack();
    throw error;
  }
}

function refuseOtherShape({ imageShape, options }: Network, { train }: Images): void {
  if (train.imageShape.join() === imageShape.join()) return;
  throw new UserError({
    operation: `train ${options.arch}`,
    argument: "the images",
    expected: `images of ${imageShape.join("×")}`,
    received: train.imageShape.join("×"),
    remedy: "give buildNetwork their `imageShape`",
  });
}
