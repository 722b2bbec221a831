import { UserError } from "@peekaboo/torch";
import { type BopConfig, parseConfig, type SgdConfig, type TrainConfig } from "../config/config.js";
import type { Images } from "../data/images.js";
import { epochOrder } from "../data/order.js";
import type { Network } from "../models/network.js";
import { EpochMeans } from "./epoch-means.js";
import { type Evaluation, evaluate } from "./evaluation.js";
import { type StepResult, Trainer } from "./trainer.js";

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
  /** What order and augmentation follow from; default: 0. */
  seed?: number;
  /** Stops before the next step, by throwing its reason. */
  signal?: AbortSignal;
  /** After each step. */
  onStep?(step: TrainedStep): void;
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
  const { data, epochs, batchSize = 128, optimizer = "BOP", bop = {}, sgd = {}, seed = 0, signal, onStep } = options;
  const config = parseConfig({ epochs, batchSize, optimizer, bop, sgd, seed });
  refuseOtherShape(network, data);
  const totalSteps = epochs * Math.ceil(data.train.count / batchSize);
  const trainer = new Trainer(network, config);
  try {
    for (let epoch = 0, step = 0; epoch < epochs; epoch++) {
      const means = new EpochMeans();
      network.module.train();
      const order = epochOrder(seed, epoch, data.train.count);
      for await (const batch of data.train.training(order, batchSize, seed, epoch)) {
        try {
          signal?.throwIfAborted();
          const begun = performance.now();
          const result = trainer.step(batch, { epoch, step, totalSteps });
          step++;
          means.add(result, (performance.now() - begun) / 1000);
          onStep?.({ ...result, epoch, step, totalSteps });
        } finally {
          batch.input.dispose();
          batch.target.dispose();
        }
      }
      const { loss, accuracy, flips } = means;
      const test = await evaluate(network, data.test, { batchSize });
      yield { number: epoch + 1, train: { loss, accuracy, flips }, test };
    }
  } finally {
    trainer.dispose();
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
