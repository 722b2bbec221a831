import { noGrad } from "../autograd.js";
import * as ops from "../generated/ops.js";
import { scope } from "../scope.js";
import type { Tensor } from "../tensor.js";
import { checkRates } from "./check.js";
import { Optimizer } from "./optimizer.js";

export interface AdamOptions {
  lr?: number;
  beta1?: number;
  beta2?: number;
  eps?: number;
  /** L2 penalty, added to the gradient as in PyTorch's Adam. */
  weightDecay?: number;
  /** Shrinks the weights themselves instead: AdamW (Loshchilov & Hutter 2019). */
  decoupledWeightDecay?: boolean;
}

const STEPS = "steps.";

/**
 * Adam (Kingma & Ba 2015): m, v ← moving means of g, g²; w ← w - lr·m̂/(√v̂ + ε), with bias correction.
 * @throws {UserError} for negative rates and for betas from 1.
 */
export class Adam extends Optimizer {
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  readonly weightDecay: number;
  readonly decoupledWeightDecay: boolean;
  /** Updates so far, by parameter: one without a gradient is not updated. */
  #steps = new Map<string, number>();
  protected override readonly kinds = ["mean", "square"];

  constructor(parameters: Iterable<readonly [string, Tensor]>, options: AdamOptions = {}) {
    super(parameters, options.lr ?? 1e-3);
    this.beta1 = options.beta1 ?? 0.9;
    this.beta2 = options.beta2 ?? 0.999;
    this.eps = options.eps ?? 1e-8;
    this.weightDecay = options.weightDecay ?? 0;
    this.decoupledWeightDecay = options.decoupledWeightDecay ?? false;
    checkRates("Adam", { beta1: this.beta1, beta2: this.beta2 }, 1);
    checkRates("Adam", { eps: this.eps, weightDecay: this.weightDecay });
  }

  protected override numbers(): Record<string, number> {
    const steps = [...this.#steps].map(([name, count]) => [STEPS + name, count]);
    return { ...super.numbers(), ...Object.fromEntries(steps) };
  }

  protected override loadNumbers(numbers: Readonly<Record<string, number>>): void {
    const steps = Object.entries(numbers).filter(([key]) => key.startsWith(STEPS));
    checkRates("load the state of Adam", Object.fromEntries(steps));
    super.loadNumbers(numbers);
    this.#steps = new Map(steps.map(([key, count]) => [key.slice(STEPS.length), count]));
  }

  override step(): void {
    noGrad(() => {
      for (const [name, parameter] of this.parameters) scope(() => this.#update(name, parameter));
    });
  }

  #moment(kind: string, name: string, like: Tensor): Tensor {
    return this.recall(kind, name) ?? this.remember(kind, name, ops.zerosLike(like));
  }

  #update(name: string, parameter: Tensor): void {
    const raw = parameter.grad;
    if (raw === null) return;
    const step = (this.#steps.get(name) ?? 0) + 1;
    this.#steps.set(name, step);
    const penalised = this.weightDecay !== 0 && !this.decoupledWeightDecay;
    const gradient = penalised ? ops.add(raw, parameter, { alpha: this.weightDecay }) : raw;
    if (this.decoupledWeightDecay) parameter.mul_(1 - this.lr * this.weightDecay);
    const mean = this.#moment("mean", name, parameter);
    const square = this.#moment("square", name, parameter);
    mean.mul_(this.beta1).add_(gradient, 1 - this.beta1);
    ops.addcmul_(square.mul_(this.beta2), gradient, gradient, { value: 1 - this.beta2 });
    const denominator = square
      .sqrt()
      .div_(Math.sqrt(1 - this.beta2 ** step))
      .add_(this.eps);
    ops.addcdiv_(parameter, mean, denominator, { value: -this.lr / (1 - this.beta1 ** step) });
  }
}
