import { noGrad, ops, optim, scope, type Tensor } from "@peekaboo/torch";
import type { Config } from "../config/config.js";
import type { Batch } from "../data/batch.js";
import { firstNonfinite, keepStatistics } from "../models/first-nonfinite.js";
import type { Network } from "../models/network.js";
import { pabOps } from "../native/library.js";
import { Bop } from "../optim/bop.js";
import { Bop2 } from "../optim/bop2.js";
import { valuesByLayer } from "../optim/layer-values.js";
import type { SignOptimizer } from "../optim/sign-optimizer.js";
import { readTogether } from "../read-together.js";
import { setting } from "../setting.js";
import { countCorrect } from "./evaluation.js";
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

/** Defaults of libtorch's cross-entropy. */
const [MEAN, IGNORED] = [1, -100];

/** The settings of the optimisers. */
export type TrainerConfig = Config<"optimizer" | "sgd" | "bop" | "bop2"> &
  Partial<Config<"labelSmoothing" | "onNan" | "loadPretrained">>;

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

  /**
   * @throws {UserError} when a setting for single layers names none. With several `ranks`, blocks until all have a Trainer.
   */
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
   * @throws {NonfiniteError} when the loss or a gradient is not finite. Nothing has changed then but the BatchNorm statistics,
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
        const loss = ops.crossEntropyLoss(logits, target, null, MEAN, IGNORED, this.#config.labelSmoothing ?? 0);
        const correct = countCorrect(logits, target);
        this.#averaging.average(() => loss.backward());
        const seen = this.#signStep(loss, correct);
        this.#refuseNonfinite(seen, input, position);
        this.sgd.step();
        this.zeroGrad();
        const flips = sum(seen.layerFlips.values());
        return {
          loss: seen.loss,
          correct: seen.correct,
          images: target.numel,
          flips,
          layerFlips: seen.layerFlips,
          lr,
          ar,
        };
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

  /**
   * Bop's step, where the loss of every rank and all gradients are finite: a gradient that is not would stay in the averages
   * and freeze or flip signs for the rest of the run. The device decides that by itself; what it has seen is read once.
   */
  #signStep(loss: Tensor, correct: Tensor): Seen {
    return noGrad(() => {
      const gradients = new Map(this.#backwards.flatMap(([name, { grad }]) => (grad === null ? [] : [[name, grad]])));
      const finite = pabOps().allFinite([loss.detach(), ...gradients.values()]);
      const anywhere = this.#ranks.anyOf(ops.logicalNot(finite.select(0, 0)));
      const flips = this.bop?.stepIf(ops.logicalAnd(ops.all(finite), ops.logicalNot(anywhere)));
      const counts = flips === undefined || flips.size === 0 ? [] : [ops.stack([...flips.values()])];
      const [[value = Number.NaN] = [], [right = 0] = [], [other = 0] = [], finites = [], flipped = []] = readTogether([
        loss,
        correct,
        anywhere,
        finite,
        ...counts,
      ]);
      return {
        loss: value,
        correct: right,
        brokenAnywhere: other !== 0,
        brokenGradient: [...gradients.keys()].find((_, i) => finites[i + 1] === 0),
        layerFlips: new Map([...(flips?.keys() ?? [])].map((name, i) => [name, flipped[i] ?? 0])),
      };
    });
  }

  #refuseNonfinite({ loss, brokenAnywhere, brokenGradient }: Seen, input: Tensor, position: Position): void {
    if (Number.isFinite(loss) && !brokenAnywhere && brokenGradient === undefined) return;
    this.bop?.takeBack();
    if (!Number.isFinite(loss))
      throw NonfiniteError.loss(loss, firstNonfinite(this.network, input), position, this.#config);
    if (brokenGradient === undefined || brokenAnywhere) throw NonfiniteError.elsewhere(position, this.#config);
    throw NonfiniteError.gradient(brokenGradient, position, this.#config);
  }

  zeroGrad(): void {
    this.bop?.zeroGrad();
    this.sgd.zeroGrad();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  dispose(): void {
    this.#averaging.dispose();
    this.bop?.dispose();
    this.sgd.dispose();
  }
}

/** What a step found, as the device told it. */
interface Seen {
  loss: number;
  correct: number;
  /** Whether the loss of any rank is not finite. */
  brokenAnywhere: boolean;
  /** The first parameter whose gradient is not finite. */
  brokenGradient: string | undefined;
  layerFlips: ReadonlyMap<string, number>;
}

function signOptimizer(network: Network, { optimizer, bop, bop2 }: TrainerConfig): SignOptimizer | null {
  if (optimizer === "SGD") return null;
  const parameters = network.bopParameters();
  const names = [...parameters.keys()];
  const options = {
    ar: bop.ar,
    tau: bop.tau,
    layerAr: valuesByLayer(setting("bop.arLayers"), bop.arLayers, names),
    layerTau: valuesByLayer(setting("bop.tauLayers"), bop.tauLayers, names),
  };
  return optimizer === "BOP" ? new Bop(parameters, options) : new Bop2(parameters, { ...options, ...bop2 });
}

function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}
