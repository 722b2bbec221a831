import type { Tensor } from "@peekaboo/torch";
import { pabOps } from "../native/library.js";
import { type Layout, type Rates, SignOptimizer, type SignOptions, type SignState } from "./sign-optimizer.js";

export type BopOptions = SignOptions;

/** `momentum`: the exponential moving average m of the gradient; `flips` (int32): how often each weight has flipped. */
type Kind = "momentum" | "flips";

/**
 * The latent-free binary optimiser (Helwegen et al. 2019, algorithm 1) in the reference's form: m = (1+γ)·g at first,
 * m ← (1-γ)·m + γ·g later; a weight flips its sign where |m| ≥ τ and sign(m) = sign(w).
 */
export class Bop extends SignOptimizer<Kind> {
  protected override layout({ shape, dtype, device }: Tensor): Record<Kind, Layout> {
    return { momentum: { shape, dtype, device }, flips: { shape, dtype: "int32", device } };
  }

  protected override update(
    parameter: Tensor,
    gradient: Tensor,
    { momentum, flips }: SignState<Kind>,
    { ar, tau }: Rates,
    first: boolean,
    go: Tensor | null,
  ): Tensor {
    return pabOps().bopStep_(parameter, momentum, gradient, flips, { ar, tau, first, go });
  }
}
