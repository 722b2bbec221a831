import { ops, optim, scope, UserError } from "@peekaboo/torch";
import type { TrainConfig } from "../config.js";
import type { Network } from "../models/network.js";
import { Bop } from "../optim/bop.js";
import type { Batch } from "../pruners/pruner.js";
import { countCorrect } from "./evaluation.js";
import { adaptivityRate, learningRate, type Position } from "./rates.js";

export interface StepResult {
  loss: number;
  /** Images whose largest logit was their class's. */
  correct: number;
  images: number;
  /** Weights whose sign changed. */
  flips: number;
  lr: number;
  /** Bop's γ; undefined where Bop takes no part. */
  ar: number | undefined;
}

/** One network's training: a forward and a backward pass, Bop on the signs, SGD on the rest. */
export class Trainer {
  readonly network: Network;
  readonly bop: Bop | null;
  readonly sgd: optim.SGD;
  readonly #config: Pick<TrainConfig, "bop" | "sgd" | "optimizer">;

  constructor(network: Network, config: Pick<TrainConfig, "bop" | "sgd" | "optimizer">) {
    this.network = network;
    this.#config = config;
    const signs = config.optimizer === "BOP";
    this.bop = signs ? new Bop(network.bopParameters(), config.bop) : null;
    this.sgd = new optim.SGD(signs ? network.otherParameters() : network.module.namedParameters(), config.sgd);
  }

  /**
   * One optimiser step on a batch.
   *
   * Throws UserError, with nothing changed but the BatchNorm statistics, when the loss is not finite.
   */
  step({ input, target }: Batch, position: Position): StepResult {
    const lr = learningRate(this.#config.sgd, position);
    const ar = this.bop === null ? undefined : adaptivityRate(this.#config.bop, position);
    this.sgd.lr = lr;
    if (this.bop !== null && ar !== undefined) this.bop.ar = ar;
    return scope(() => {
      this.zeroGrad();
      const logits = this.network.call(input);
      const loss = ops.crossEntropyLoss(logits, target);
      const value = loss.item();
      if (!Number.isFinite(value)) throw lossError(value, position);
      const correct = countCorrect(logits, target);
      loss.backward();
      const flips = this.bop?.step() ?? new Map<string, number>();
      this.sgd.step();
      this.zeroGrad();
      return { loss: value, correct, images: target.numel, flips: sum(flips.values()), lr, ar };
    });
  }

  zeroGrad(): void {
    this.bop?.zeroGrad();
    this.sgd.zeroGrad();
  }

  dispose(): void {
    this.bop?.dispose();
    this.sgd.dispose();
  }
}

function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

function lossError(value: number, { epoch, step }: Position): UserError {
  return new UserError({
    operation: "train",
    argument: `the loss of step ${step + 1} (epoch ${epoch})`,
    expected: "a finite number",
    received: Number.isNaN(value) ? "NaN" : "infinity",
    remedy: "the run stopped there and the last checkpoint is intact: lower --lr, or choose another --init-method",
  });
}
