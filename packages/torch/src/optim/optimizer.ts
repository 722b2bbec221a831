import { UserError } from "../errors.js";
import { keep } from "../scope.js";
import type { Tensor } from "../tensor.js";

/** What an optimiser must save to continue as if nothing had happened. */
export interface OptimizerState {
  /** Per-parameter tensors, "<kind>.<state name>". */
  tensors: Map<string, Tensor>;
  /** Numbers: learning rate, step counts. */
  numbers: Record<string, number>;
}

/** Updates named parameters from their gradients; state is keyed by name. */
export abstract class Optimizer {
  readonly parameters: ReadonlyMap<string, Tensor>;
  /** The learning rate of the next step; schedules set it. */
  lr: number;
  protected readonly tensors = new Map<string, Tensor>();

  constructor(parameters: Iterable<readonly [string, Tensor]>, lr: number) {
    this.parameters = new Map(parameters);
    this.lr = lr;
  }

  /** One update of every parameter that has a gradient. */
  abstract step(): void;

  /** The per-parameter tensors that the optimiser may hold, e.g. ["momentum"]. */
  protected abstract readonly kinds: readonly string[];

  protected numbers(): Record<string, number> {
    return { lr: this.lr };
  }

  protected loadNumbers(numbers: Readonly<Record<string, number>>): void {
    this.lr = numbers.lr ?? this.lr;
  }

  /** Forgets the gradients of its parameters. */
  zeroGrad(): void {
    for (const parameter of this.parameters.values()) parameter.grad = null;
  }

  protected remember(kind: string, name: string, tensor: Tensor): Tensor {
    this.tensors.set(`${kind}.${name}`, keep(tensor));
    return tensor;
  }

  protected recall(kind: string, name: string): Tensor | undefined {
    return this.tensors.get(`${kind}.${name}`);
  }

  /** The state, its tensors not copied. */
  stateDict(): OptimizerState {
    return { tensors: new Map(this.tensors), numbers: this.numbers() };
  }

  /** Takes over copies of a saved state. Throws UserError for a tensor of an unknown name or another shape. */
  loadStateDict({ tensors, numbers }: OptimizerState): void {
    for (const [key, tensor] of tensors) {
      const kind = this.kinds.find((known) => key.startsWith(`${known}.`));
      const name = key.slice((kind ?? "").length + 1);
      const parameter = kind === undefined ? undefined : this.parameters.get(name);
      if (parameter === undefined || parameter.shape.join() !== tensor.shape.join()) {
        throw new UserError({
          operation: `load the state of ${this.constructor.name}`,
          argument: key,
          expected: parameter === undefined ? "the name of a trained parameter" : `shape [${parameter.shape}]`,
          received: parameter === undefined ? "an unknown one" : `[${tensor.shape}]`,
        });
      }
    }
    for (const old of this.tensors.values()) old.dispose();
    this.tensors.clear();
    for (const [key, tensor] of tensors) this.tensors.set(key, keep(tensor.detach().clone()));
    this.loadNumbers(numbers);
  }

  /** Frees the state. */
  dispose(): void {
    for (const tensor of this.tensors.values()) tensor.dispose();
    this.tensors.clear();
  }
}
