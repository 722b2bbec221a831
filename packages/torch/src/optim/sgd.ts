import { UserError } from "@peekaboo/files/errors";
import { noGrad } from "../autograd.js";
import * as ops from "../generated/ops.js";
import { scope } from "../scope.js";
import type { Tensor } from "../tensor.js";
import { checkRates } from "./check.js";
import { Optimizer } from "./optimizer.js";

export interface SgdOptions {
  lr: number;
  momentum?: number;
  /** L2 penalty, added to the gradient as in PyTorch. */
  weightDecay?: number;
  /** Needs a momentum. */
  nesterov?: boolean;
}

/**
 * Stochastic gradient descent: g ← g + λw; v ← μv + g (v = g at first); w ← w - lr·v, or - lr·(g + μv) with
 * Nesterov's (Sutskever et al. 2013, in PyTorch's form).
 * @throws {UserError} for negative rates.
 */
export class SGD extends Optimizer {
  readonly momentum: number;
  readonly weightDecay: number;
  readonly nesterov: boolean;
  protected override readonly kinds = ["momentum"];

  constructor(parameters: Iterable<readonly [string, Tensor]>, options: SgdOptions) {
    super(parameters, options.lr);
    this.momentum = options.momentum ?? 0;
    this.weightDecay = options.weightDecay ?? 0;
    this.nesterov = options.nesterov ?? false;
    checkRates("SGD", { momentum: this.momentum, weightDecay: this.weightDecay });
    if (this.nesterov && this.momentum === 0) {
      throw new UserError({
        operation: "SGD",
        argument: "momentum",
        expected: "one above 0 with nesterov",
        received: "0",
      });
    }
  }

  override step(): void {
    noGrad(() => {
      for (const [name, parameter] of this.parameters) scope(() => this.#update(name, parameter));
    });
  }

  #update(name: string, parameter: Tensor): void {
    const gradient = parameter.grad;
    if (gradient === null) return;
    let direction = this.weightDecay === 0 ? gradient : ops.add(gradient, parameter, { alpha: this.weightDecay });
    if (this.momentum !== 0) {
      let velocity = this.recall("momentum", name);
      if (velocity === undefined) velocity = this.remember("momentum", name, direction.clone());
      else velocity.mul_(this.momentum).add_(direction);
      direction = this.nesterov ? ops.add(direction, velocity, { alpha: this.momentum }) : velocity;
    }
    parameter.add_(direction, -this.lr);
  }
}
