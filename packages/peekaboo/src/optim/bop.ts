import { keep, noGrad, scope, type Tensor, UserError, zeros } from "@peekaboo/torch";
import { pabOps } from "../native/library.js";

export interface BopOptions {
  /** Adaptivity rate γ, in (0, 1). */
  ar: number;
  /** Flip threshold τ ≥ 0. */
  tau: number;
}

/** What Bop remembers of one weight tensor. */
export interface BopState {
  /** The exponential moving average m of the gradient. */
  momentum: Tensor;
  /** int32: how often each weight has flipped. */
  flips: Tensor;
}

/**
 * The latent-free binary optimiser (Helwegen et al. 2019, algorithm 1) in the reference's form: m = (1+γ)·g at first,
 * m ← (1-γ)·m + γ·g later; a weight flips its sign where |m| ≥ τ and sign(m) = sign(w).
 */
export class Bop {
  /** The adaptivity rate γ of the next step; schedules set it. */
  ar: number;
  readonly tau: number;
  readonly parameters: ReadonlyMap<string, Tensor>;
  readonly #state = new Map<string, BopState>();

  /** Throws UserError for γ outside (0, 1) or τ below 0. */
  constructor(parameters: ReadonlyMap<string, Tensor>, { ar, tau }: BopOptions) {
    this.parameters = parameters;
    this.ar = within("ar", "a number between 0 and 1", ar, ar > 0 && ar < 1);
    this.tau = within("tau", "a number of at least 0", tau, tau >= 0);
  }

  /** One update of every parameter that has a gradient; returns how many weights flipped, by name. */
  step(): Map<string, number> {
    const flips = new Map<string, number>();
    noGrad(() => {
      for (const [name, parameter] of this.parameters) {
        const count = scope(() => this.#update(name, parameter));
        if (count !== null) flips.set(name, count);
      }
    });
    return flips;
  }

  #update(name: string, parameter: Tensor): number | null {
    const gradient = parameter.grad;
    if (gradient === null) return null;
    const known = this.#state.get(name);
    const state = known ?? this.#fresh(name, parameter);
    const { momentum, flips } = state;
    return pabOps().bopStep_(parameter, momentum, gradient, flips, this.ar, this.tau, known === undefined);
  }

  #fresh(name: string, { shape, dtype, device }: Tensor): BopState {
    const state = {
      momentum: keep(zeros(shape, { dtype, device })),
      flips: keep(zeros(shape, { dtype: "int32", device })),
    };
    this.#state.set(name, state);
    return state;
  }

  /** Forgets the gradients of its parameters. */
  zeroGrad(): void {
    for (const parameter of this.parameters.values()) parameter.grad = null;
  }

  /** The state by parameter name, not copied; empty before the first step. */
  stateDict(): ReadonlyMap<string, BopState> {
    return this.#state;
  }

  /** Takes copies of a saved state over. Throws UserError for an unknown name or another shape. */
  loadStateDict(state: ReadonlyMap<string, BopState>): void {
    for (const [name, saved] of state) {
      const expected = this.parameters.get(name)?.shape;
      if (expected === undefined || saved.momentum.shape.join() !== expected.join()) {
        throw new UserError({
          operation: "load Bop's state",
          argument: name,
          expected: expected === undefined ? "the name of a convolution parameter" : `shape [${expected}]`,
          received: expected === undefined ? "an unknown one" : `[${saved.momentum.shape}]`,
        });
      }
    }
    this.dispose();
    for (const [name, { momentum, flips }] of state) {
      this.#state.set(name, { momentum: keep(momentum.clone()), flips: keep(flips.clone()) });
    }
  }

  /** Frees the state. */
  dispose(): void {
    for (const { momentum, flips } of this.#state.values()) {
      momentum.dispose();
      flips.dispose();
    }
    this.#state.clear();
  }
}

function within(argument: string, expected: string, value: number, valid: boolean): number {
  if (valid) return value;
  throw new UserError({ operation: "make Bop", argument, expected, received: String(value) });
}
