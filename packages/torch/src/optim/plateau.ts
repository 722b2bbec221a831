import { checkRates } from "./check.js";
import type { Scheduled } from "./schedule.js";

export interface PlateauOptions {
  /** Whether the smallest or the largest measure is the best. */
  mode?: "min" | "max";
  /** What the learning rate is multiplied by. */
  factor?: number;
  /** Steps without an improvement that are borne. */
  patience?: number;
  /** An improvement is better than the best by more than this part of it. */
  threshold?: number;
  /** Steps after a reduction in which nothing is counted. */
  cooldown?: number;
  minimum?: number;
}

/** What a {@link ReduceOnPlateau} must save; the learning rate is in the optimiser's own state. */
export interface PlateauState {
  /** The best measure; null before the first. */
  best: number | null;
  bad: number;
  cooling: number;
}

/** Lowers the learning rate when a measure (a validation loss) stops improving, as PyTorch's ReduceLROnPlateau. */
export class ReduceOnPlateau {
  readonly #target: Scheduled;
  readonly #options: Required<PlateauOptions>;
  #state: PlateauState = { best: null, bad: 0, cooling: 0 };

  constructor(target: Scheduled, options: PlateauOptions = {}) {
    this.#target = target;
    this.#options = { mode: "min", factor: 0.1, patience: 10, threshold: 1e-4, cooldown: 0, minimum: 0, ...options };
    const { factor, patience, threshold, cooldown, minimum } = this.#options;
    checkRates("ReduceOnPlateau", { factor }, 1);
    checkRates("ReduceOnPlateau", { patience, threshold, cooldown, minimum });
  }

  /** Takes note of an epoch's measure; NaN is no improvement. */
  step(measure: number): void {
    const { patience, cooldown, factor, minimum } = this.#options;
    const state = this.#state;
    if (this.#isBetter(measure)) {
      state.best = measure;
      state.bad = 0;
    } else {
      state.bad++;
    }
    if (state.cooling > 0) {
      state.cooling--;
      state.bad = 0;
    }
    if (state.bad <= patience) return;
    const lower = Math.max(this.#target.lr * factor, minimum);
    if (this.#target.lr - lower > 1e-8) this.#target.lr = lower;
    state.cooling = cooldown;
    state.bad = 0;
  }

  #isBetter(measure: number): boolean {
    const { mode, threshold } = this.#options;
    const { best } = this.#state;
    if (best === null) return !Number.isNaN(measure);
    return mode === "min" ? measure < best * (1 - threshold) : measure > best * (1 + threshold);
  }

  stateDict(): PlateauState {
    return { ...this.#state };
  }

  /** Goes on where a saved one stopped. Throws UserError for numbers that none could have saved. */
  loadStateDict({ best, bad, cooling }: PlateauState): void {
    checkRates("load the state of ReduceOnPlateau", { bad, cooling });
    this.#state = { best, bad, cooling };
  }
}
