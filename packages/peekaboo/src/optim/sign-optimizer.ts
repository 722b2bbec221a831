import { printable, UserError } from "@peekaboo/files/errors";
import { type Dtype, keep, noGrad, ops, scope, type Tensor, zeros } from "@peekaboo/torch";
import { readTogether } from "../read-together.js";

export interface SignOptions {
  /** Adaptivity rate γ, in (0, 1). */
  ar: number;
  /** Flip threshold τ ≥ 0. */
  tau: number;
  /** γ of single parameters, by name; the schedule of `ar` scales them too. */
  layerAr?: ReadonlyMap<string, number>;
  /** τ of single parameters, by name. */
  layerTau?: ReadonlyMap<string, number>;
}

/** γ and τ of one parameter in one step. */
export interface Rates {
  readonly ar: number;
  readonly tau: number;
}

/** What is remembered of one parameter, by kind (`momentum`, `flips`, …). */
export type SignState<Kind extends string> = Readonly<Record<Kind, Tensor>>;

/** What a tensor of the state must look like. */
export interface Layout {
  readonly shape: readonly number[];
  readonly dtype: Dtype;
  readonly device: string;
}

/** An optimiser that changes nothing of its parameters but their signs; state is keyed by parameter name. */
export abstract class SignOptimizer<Kind extends string = string> {
  /** The adaptivity rate γ of the next step; schedules set it. */
  ar: number;
  readonly tau: number;
  readonly parameters: ReadonlyMap<string, Tensor>;
  readonly #initialAr: number;
  readonly #layerAr: ReadonlyMap<string, number>;
  readonly #layerTau: ReadonlyMap<string, number>;
  readonly #state = new Map<string, SignState<Kind>>();
  /** Whose state the latest step has made. */
  #begun: string[] = [];

  /** @throws {UserError} for γ outside (0, 1), τ below 0, or a value of an unknown parameter. */
  constructor(parameters: ReadonlyMap<string, Tensor>, options: SignOptions) {
    const { ar, tau, layerAr = new Map<string, number>(), layerTau = new Map<string, number>() } = options;
    this.parameters = parameters;
    this.ar = this.checkedRate("ar", ar);
    this.tau = this.#checkedTau("tau", tau);
    this.#initialAr = ar;
    for (const name of [...layerAr.keys(), ...layerTau.keys()]) this.#parameter("make", name);
    for (const [name, value] of layerAr) this.checkedRate(`layerAr of ${name}`, value);
    for (const [name, value] of layerTau) this.#checkedTau(`layerTau of ${name}`, value);
    this.#layerAr = layerAr;
    this.#layerTau = layerTau;
  }

  /** What a parameter's state consists of; all of it starts at zero. */
  protected abstract layout(parameter: Tensor): Readonly<Record<Kind, Layout>>;

  /**
   * Updates the state and flips signs, unless `go` (bool []) is false; returns how many (int64 []). `first`: the state is
   * new.
   */
  protected abstract update(
    parameter: Tensor,
    gradient: Tensor,
    state: SignState<Kind>,
    rates: Rates,
    first: boolean,
    go: Tensor | null,
  ): Tensor;

  /** One update of every parameter that has a gradient; returns how many weights flipped, by name. */
  step(): Map<string, number> {
    return scope(() => {
      const flips = this.stepIf(null);
      const [counts = []] = flips.size === 0 ? [] : readTogether([ops.stack([...flips.values()])]);
      return new Map([...flips.keys()].map((name, i) => [name, counts[i] ?? 0]));
    });
  }

  /**
   * The same unless `go` (bool []) is false, without waiting for the device to tell: the counts are tensors (int64 []).
   * Who learns that it was false calls {@link takeBack}.
   */
  stepIf(go: Tensor | null): Map<string, Tensor> {
    this.#begun = [];
    const flips = new Map<string, Tensor>();
    noGrad(() => {
      for (const [name, parameter] of this.parameters) {
        const count = scope(() => this.#updateOne(name, parameter, go));
        if (count !== null) flips.set(name, count);
      }
    });
    return flips;
  }

  /** Forgets the state that the latest step began, whose `go` was false. */
  takeBack(): void {
    for (const name of this.#begun) this.#forget(name);
    this.#begun = [];
  }

  #updateOne(name: string, parameter: Tensor, go: Tensor | null): Tensor | null {
    const gradient = parameter.grad;
    if (gradient === null) return null;
    const known = this.#state.get(name);
    const state = known ?? this.#fresh(name, parameter);
    return this.update(parameter, gradient, state, this.ratesOf(name), known === undefined, go);
  }

  /**
   * γ and τ of a parameter in the next step. A γ of its own is scaled by what the schedule has made of `ar`: after `ar`
   * has gone from 1e-2 to 1e-3, a tenth of it is used.
   */
  ratesOf(name: string): Rates {
    const own = this.#layerAr.get(name);
    return {
      ar: own === undefined ? this.ar : own * (this.ar / this.#initialAr),
      tau: this.#layerTau.get(name) ?? this.tau,
    };
  }

  #fresh(name: string, parameter: Tensor): SignState<Kind> {
    const state = this.#each(this.layout(parameter), ({ shape, dtype, device }) =>
      keep(zeros(shape, { dtype, device })),
    );
    this.#state.set(name, state);
    this.#begun.push(name);
    return state;
  }

  #each(layout: Readonly<Record<Kind, Layout>>, make: (layout: Layout, kind: string) => Tensor): SignState<Kind> {
    const made = Object.entries<Layout>(layout).map(([kind, one]) => [kind, make(one, kind)]);
    return Object.fromEntries(made) as SignState<Kind>;
  }

  /** Forgets the gradients of its parameters. */
  zeroGrad(): void {
    for (const parameter of this.parameters.values()) parameter.grad = null;
  }

  /** The state by parameter name, not copied; empty before the first step. */
  stateDict(): ReadonlyMap<string, SignState<Kind>> {
    return this.#state;
  }

  /**
   * Takes copies of a saved state over.
   *
   * @throws {UserError}, with nothing changed, for an unknown name, a part that is missing or unknown, another shape or dtype.
   */
  loadStateDict(state: ReadonlyMap<string, Readonly<Record<string, Tensor>>>): void {
    for (const [name, saved] of state) this.#checkState(name, saved);
    const copies = [...state].map(([name, saved]) => {
      const copy = ({ device }: Layout, kind: string) => {
        const tensor = saved[kind];
        if (tensor === undefined) throw new TypeError(`${kind} of ${name} is missing`);
        return keep(tensor.device === device ? tensor.clone() : tensor.to({ device }));
      };
      return [name, this.#each(this.layout(this.#parameter("load the state of", name)), copy)] as const;
    });
    this.dispose();
    for (const [name, copy] of copies) this.#state.set(name, copy);
  }

  #checkState(name: string, saved: Readonly<Record<string, Tensor>>): void {
    const layout: Readonly<Record<string, Layout>> = this.layout(this.#parameter("load the state of", name));
    for (const kind of new Set([...Object.keys(layout), ...Object.keys(saved)])) {
      const wanted = describe(layout[kind]);
      const found = describe(saved[kind]);
      if (wanted !== found) throw this.error("load the state of", `${kind}.${name}`, wanted, found);
    }
  }

  #parameter(doing: string, name: string): Tensor {
    const parameter = this.parameters.get(name);
    if (parameter !== undefined) return parameter;
    throw this.error(doing, name, "the name of a parameter of a convolution", "an unknown one");
  }

  protected checkedRate(argument: string, value: number): number {
    if (value > 0 && value < 1) return value;
    throw this.error("make", argument, "a number between 0 and 1", String(value));
  }

  #checkedTau(argument: string, value: number): number {
    if (value >= 0) return value;
    throw this.error("make", argument, "a number of at least 0", String(value));
  }

  protected error(doing: string, argument: string, expected: string, received: string): UserError {
    return new UserError({
      operation: `${doing} ${this.constructor.name}`,
      argument: printable(argument),
      expected,
      received,
    });
  }

  /** Frees the state. */
  dispose(): void {
    for (const name of [...this.#state.keys()]) this.#forget(name);
  }

  #forget(name: string): void {
    for (const tensor of Object.values<Tensor>(this.#state.get(name) ?? {})) tensor.dispose();
    this.#state.delete(name);
  }
}

function describe(tensor: Pick<Layout, "shape" | "dtype"> | undefined): string {
  return tensor === undefined ? "nothing" : `${tensor.dtype} [${tensor.shape.join(", ")}]`;
}
