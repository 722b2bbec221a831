import { noGrad } from "../autograd.js";
import * as ops from "../generated/ops.js";
import { scope } from "../scope.js";
import { type Tensor, zeros } from "../tensor.js";
import { Optimizer } from "./optimizer.js";

export interface AdamOptions {
  lr?: number;
  beta1?: number;
  beta2?: number;
  eps?: number;
  /** L2 penalty, added to the gradient as in PyTorch's Adam. */
  weightDecay?: number;
}

/** Adam (Kingma & Ba 2015): m, v ← moving means of g, g²; w ← w - lr·m̂/(√v̂ + ε), with bias correction. */
export class Adam extends Optimizer {
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  readonly weightDecay: number;
  #steps = 0;
  protected override readonly kinds = ["mean", "square"];

  constructor(parameters: Iterable<readonly [string, Tensor]>, options: AdamOptions = {}) {
    super(parameters, options.lr ?? 1e-3);
    this.beta1 = options.beta1 ?? 0.9;
    this.beta2 = options.beta2 ?? 0.999;
    this.eps = options.eps ?? 1e-8;
    this.weightDecay = options.weightDecay ?? 0;
  }

  protected override numbers(): Record<string, number> {
    return { ...super.numbers(), steps: this.#steps };
  }

  protected override loadNumbers(numbers: Readonly<Record<string, number>>): void {
    super.loadNumbers(numbers);
    this.#steps = numbers.steps ?? 0;
  }

  override step(): void {
    this.#steps++;
    noGrad(() => {
      for (const [name, parameter] of this.parameters) scope(() => this.#update(name, parameter));
    });
  }

  #moment(kind: string, name: string, like: Tensor): Tensor {
    const { shape, dtype, device } = like;
    return this.recall(kind, name) ?? this.remember(kind, name, zeros(shape, { dtype, device }));
  }

  #update(name: string, parameter: Tensor): void {
    const raw = parameter.grad;
    if (raw === null) return;
    const gradient = this.weightDecay === 0 ? raw : ops.add(raw, parameter, { alpha: this.weightDecay });
    const mean = this.#moment("mean", name, parameter);
    const square = this.#moment("square", name, parameter);
    mean.mul_(this.beta1).add_(gradient, 1 - this.beta1);
    ops.addcmul_(square.mul_(this.beta2), gradient, gradient, { value: 1 - this.beta2 });
    const correction = 1 - this.beta1 ** this.#steps;
    const denominator = square
      .sqrt()
      .div_(Math.sqrt(1 - this.beta2 ** this.#steps))
      .add_(this.eps);
    ops.addcdiv_(parameter, mean, denominator, { value: -this.lr / correction });
  }
}
