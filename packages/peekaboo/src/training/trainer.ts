import { ops, optim, scope, type Tensor } from "@peekaboo/torch";
import type { TrainConfig } from "../config.js";
import type { Network } from "../models/network.js";
import { pabOps } from "../native/library.js";
import { Bop } from "../optim/bop.js";
import { Bop2 } from "../optim/bop2.js";
import { valuesByLayer } from "../optim/layer-values.js";
import type { SignOptimizer } from "../optim/sign-optimizer.js";
import type { Batch } from "../pruners/pruner.js";
import { countCorrect } from "./evaluation.js";
import { firstNonfinite, keepStatistics } from "./first-nonfinite.js";
import { NonfiniteError } from "./nonfinite-error.js";
import { type Averaging, alone, type Ranks } from "./ranks.js";
import { adaptivityRate, learningRate, type Position } from "./rates.js";

export interface StepResult {
  loss: number;
  /** Images whose largest logit was their class's. */
  correct: number;
  images: number;
  /** Weights whose sign changed. */
  flips: number;
  /** The same by Bop's parameter; empty without Bop. */
  layerFlips: ReadonlyMap<string, number>;
  lr: number;
  /** Bop's γ; undefined where Bop takes no part. */
  ar: number | undefined;
}

/** The settings of the optimisers. */
export type TrainerConfig = Pick<TrainConfig, "optimizer" | "sgd" | "bop" | "bop2"> &
  Partial<Pick<TrainConfig, "onNan" | "loadPretrained">>;

/** One network's training: a forward and a backward pass, Bop on the signs, SGD on the rest. */
export class Trainer {
  readonly network: Network;
  /** Of first or second order; null where SGD trains everything. */
  readonly bop: SignOptimizer | null;
  readonly sgd: optim.SGD;
  readonly #config: TrainerConfig;
  readonly #ranks: Ranks;
  readonly #averaging: Averaging;
  /** Of all parameters, in the order in which the backward pass comes by them. */
  readonly #backwards: readonly (readonly [string, Tensor])[];

  /** Throws UserError when a setting for single layers names none. With several `ranks`, blocks until all have a Trainer. */
  constructor(network: Network, config: TrainerConfig, ranks: Ranks = alone) {
    this.network = network;
    this.#config = config;
    this.#ranks = ranks;
    this.#averaging = ranks.averaging(network.module.namedParameters());
    this.bop = signOptimizer(network, config);
    const rest = this.bop === null ? network.module.namedParameters() : network.otherParameters();
    this.sgd = new optim.SGD(rest, config.sgd);
    this.#backwards = [...network.module.namedParameters()].reverse();
  }

  /**
   * One optimiser step on a batch.
   *
   * Throws NonfiniteError when the loss or a gradient is not finite. Nothing has changed then but the BatchNorm statistics,
   * and where such batches are skipped not even those. All ranks throw.
   */
  step({ input, target }: Batch, position: Position): StepResult {
    const lr = learningRate(this.#config.sgd, position);
    const ar = this.bop === null ? undefined : adaptivityRate(this.#config.bop, position);
    this.sgd.lr = lr;
    if (this.bop !== null && ar !== undefined) this.bop.ar = ar;
    return scope(() => {
      this.zeroGrad();
      const restore = this.#skips ? keepStatistics(this.network.module) : null;
      try {
        const logits = this.network.call(input);
        const loss = ops.crossEntropyLoss(logits, target);
        const value = loss.item();
        this.#refuseNonfiniteLoss(value, input, position);
        const correct = countCorrect(logits, target);
        this.#averaging.average(() => loss.backward());
        this.#refuseNonfiniteGradient(position);
        const layerFlips = this.bop?.step() ?? new Map<string, number>();
        this.sgd.step();
        this.zeroGrad();
        const flips = sum(layerFlips.values());
        return { loss: value, correct, images: target.numel, flips, layerFlips, lr, ar };
      } catch (error) {
        if (error instanceof NonfiniteError) this.#leave(restore);
        throw error;
      }
    });
  }

  get #skips(): boolean {
    return this.#config.onNan === "skip-batch";
  }

  #leave(restore: (() => void) | null): void {
    this.zeroGrad();
    restore?.();
  }

  /** The ranks agree before the backward pass, in which they would wait for one that stopped or skips the batch. */
  #refuseNonfiniteLoss(value: number, input: Tensor, position: Position): void {
    const broken = !Number.isFinite(value);
    const anywhere = this.#ranks.anyOf(broken);
    if (broken) throw NonfiniteError.loss(value, firstNonfinite(this.network, input), position, this.#config);
    if (anywhere) throw NonfiniteError.elsewhere(position, this.#config);
  }

  /** A gradient that is not finite would stay in the averages and freeze or flip signs for the rest of the run. */
  #refuseNonfiniteGradient(position: Position): void {
    const names: string[] = [];
    const gradients: Tensor[] = [];
    for (const [name, { grad }] of this.#backwards) {
      if (grad === null) continue;
      names.push(name);
      gradients.push(grad);
    }
    const name = names[pabOps().firstNonfinite(gradients)];
    if (name !== undefined) throw NonfiniteError.gradient(name, position, this.#config);
  }

  zeroGrad(): void {
    this.bop?.zeroGrad();
    this.sgd.zeroGrad();
  }

  dispose(): void {
    this.#averaging.dispose();
    this.bop?.dispose();
    this.sgd.dispose();
  }
}

function signOptimizer(network: Network, { optimizer, bop, bop2 }: TrainerConfig): SignOptimizer | null {
  if (optimizer === "SGD") return null;
  const parameters = network.bopParameters();
  const names = [...parameters.keys()];
  const options = {
    ar: bop.ar,
    tau: bop.tau,
    layerAr: valuesByLayer("--ar-layers", bop.arLayers, names),
    layerTau: valuesByLayer("--tau-layers", bop.tauLayers, names),
  };
  return optimizer === "BOP" ? new Bop(parameters, options) : new Bop2(parameters, { ...options, ...bop2 });
}

function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}
