import { printable, UserError } from "@peekaboo/files/errors";
import { keep } from "../scope.js";
import type { Tensor } from "../tensor.js";
import { checkRates } from "./check.js";

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
  /** The learning rate of the next step. */
  lr: number;
  protected readonly tensors = new Map<string, Tensor>();

  /** @throws {UserError} for two parameters of one name and for a learning rate that is none. */
  constructor(parameters: Iterable<readonly [string, Tensor]>, lr: number) {
    const own = new Map<string, Tensor>();
    for (const [name, parameter] of parameters) {
      if (own.has(name)) throw this.#error("make", "parameters", "names that differ", `"${name}" twice`);
      own.set(name, parameter);
    }
    checkRates(this.constructor.name, { lr });
    this.parameters = own;
    this.lr = lr;
  }

  /** One update of every parameter that has a gradient. */
  abstract step(): void;

  /** The per-parameter tensors that the optimiser may hold, e.g. ["momentum"]. */
  protected abstract readonly kinds: readonly string[];

  protected numbers(): Record<string, number> {
    return { lr: this.lr };
  }

  /** Takes over saved numbers. @throws {UserError} with nothing changed. */
  protected loadNumbers(numbers: Readonly<Record<string, number>>): void {
    const { lr = this.lr } = numbers;
    checkRates(`load the state of ${this.constructor.name}`, { lr });
    this.lr = lr;
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

  /**
   * Takes over copies of a saved state, each in its parameter's dtype and on its device.
   *
   * @throws {UserError}, with nothing changed, for a tensor of an unknown name or another shape.
   */
  loadStateDict({ tensors, numbers }: OptimizerState): void {
    const owners = [...tensors].map(([key, tensor]) => [key, tensor, this.#ownerOf(key, tensor)] as const);
    this.loadNumbers(numbers);
    const copies = owners.map(([key, tensor, { dtype, device }]) => {
      const own = tensor.detach();
      const copy = own.to({ dtype, device });
      if (copy === own) return [key, keep(own.become(own.clone()))] as const;
      own.dispose();
      return [key, keep(copy)] as const;
    });
    this.dispose();
    for (const [key, copy] of copies) this.tensors.set(key, copy);
  }

  /** The parameter that a saved tensor belongs to. */
  #ownerOf(key: string, { shape }: Tensor): Tensor {
    const kind = this.kinds.find((known) => key.startsWith(`${known}.`));
    const parameter = kind === undefined ? undefined : this.parameters.get(key.slice(kind.length + 1));
    if (parameter === undefined) {
      throw this.#error("load the state of", key, "the name of a trained parameter", "an unknown one");
    }
    if (parameter.shape.join() === shape.join()) return parameter;
    throw this.#error("load the state of", key, `shape [${parameter.shape.join(", ")}]`, `[${shape.join(", ")}]`);
  }

  #error(doing: string, argument: string, expected: string, received: string): UserError {
    return new UserError({
      operation: `${doing} ${this.constructor.name}`,
      argument: printable(argument),
      expected,
      received,
    });
  }

  /** Frees the state. */
  dispose(): void {
    for (const tensor of this.tensors.values()) tensor.dispose();
    this.tensors.clear();
  }
}
