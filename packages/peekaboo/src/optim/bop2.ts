import type { Tensor } from "@peekaboo/torch";
import { pabOps } from "../native/library.js";
import { type Layout, type Rates, SignOptimizer, type SignOptions, type SignState } from "./sign-optimizer.js";

export interface Bop2Options extends SignOptions {
  /** Rate σ of the second moment, in (0, 1). */
  sigma: number;
  /** ε > 0, added to the root of the second moment. */
  eps: number;
  /** Whether both moments are rid of their start at zero before they are compared. */
  biasCorrection: boolean;
}

/**
 * `momentum` and `variance`: the moving averages m of the gradient and v of its square; `flips` (int32): how often each
 * weight has flipped; `correction` (float64 [2]): the total weight of the gradients in m and in v.
 */
type Kind = "momentum" | "variance" | "flips" | "correction";

/**
 * Bop of second order, Bop2ndOrder (Suarez-Ramirez et al. 2021): m ← (1-γ)·m + γ·g and v ← (1-σ)·v + σ·g², both from
 * zero; a weight flips its sign where |m| / (√v + ε) ≥ τ and sign(m) = sign(w). With bias correction m and v are first
 * divided by 1 - ∏(1-γ) and 1 - ∏(1-σ) over the steps so far, which for constant rates is 1 - (1-γ)ᵗ and 1 - (1-σ)ᵗ.
 * In the first step the ratio is γ/√σ for every weight (1 with bias correction): a τ up to that flips half the network.
 */
export class Bop2 extends SignOptimizer<Kind> {
  readonly sigma: number;
  readonly eps: number;
  readonly biasCorrection: boolean;

  /** @throws {UserError} for γ or σ outside (0, 1), τ below 0, ε not above 0, or a value of an unknown parameter. */
  constructor(parameters: ReadonlyMap<string, Tensor>, options: Bop2Options) {
    super(parameters, options);
    this.sigma = this.checkedRate("sigma", options.sigma);
    this.eps = options.eps;
    if (!(this.eps > 0)) throw this.error("make", "eps", "a number above 0", String(this.eps));
    this.biasCorrection = options.biasCorrection;
  }

  protected override layout({ shape, dtype, device }: Tensor): Record<Kind, Layout> {
    return {
      momentum: { shape, dtype, device },
      variance: { shape, dtype, device },
      flips: { shape, dtype: "int32", device },
      correction: { shape: [2], dtype: "float64", device },
    };
  }

  protected override update(
    parameter: Tensor,
    gradient: Tensor,
    { momentum, variance, flips, correction }: SignState<Kind>,
    { ar, tau }: Rates,
    _first: boolean,
    go: Tensor | null,
  ): Tensor {
    const { sigma, eps, biasCorrection } = this;
    const settings = { ar, sigma, tau, eps, biasCorrection, go };
    return pabOps().bop2Step_(parameter, momentum, variance, correction, gradient, flips, settings);
  }
}
