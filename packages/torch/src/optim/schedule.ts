import { checkRates } from "./check.js";

/** A factor on a base value (a learning rate, Bop's γ) as a function of the progress t: an epoch or a step. */
export type Schedule = (t: number) => number;

/** Always 1. */
export const constant: Schedule = () => 1;

/** gamma^(number of milestones ≤ t), as PyTorch's MultiStepLR. */
export function multiStep(milestones: readonly number[], gamma = 0.1): Schedule {
  return (t) => gamma ** milestones.filter((milestone) => milestone <= t).length;
}

/** gamma^floor(t / every), as PyTorch's StepLR. */
export function stepwise(every: number, gamma = 0.1): Schedule {
  return (t) => gamma ** Math.floor(t / every);
}

/** gamma^t, as PyTorch's ExponentialLR. */
export function exponential(gamma: number): Schedule {
  return (t) => gamma ** t;
}

/** From 1 at t = 0 to `end` at t = total on a straight line, and `end` from there. */
export function linear(total: number, end = 0): Schedule {
  return (t) => (t >= total ? end : 1 + ((end - 1) * t) / total);
}

/**
 * From 1 at t = 0 to `end` at t = total on half a cosine (Loshchilov & Hutter 2017), as PyTorch's CosineAnnealingLR; and
 * `end` from there, where PyTorch's rises again.
 */
export function cosine(total: number, end = 0): Schedule {
  return (t) => (t >= total ? end : end + ((1 - end) * (1 + Math.cos((Math.PI * t) / total))) / 2);
}

/** Rises on a straight line over `steps` before another schedule, which starts at its own t = 0. */
export function warmup(steps: number, then: Schedule): Schedule {
  return (t) => (t < steps ? (t + 1) / steps : then(t - steps));
}

export interface OneCycleOptions {
  /** All steps of the run. */
  total: number;
  /** The part of them that the rate rises in. */
  rise?: number;
  /** The first rate is the highest divided by this. */
  divide?: number;
  /** The last rate is the first divided by this. */
  finalDivide?: number;
}

/**
 * Rises to 1 and falls to nearly 0, each on half a cosine (Smith & Topin 2019), as PyTorch's OneCycleLR; the base value
 * is the highest.
 */
export function oneCycle({ total, rise = 0.3, divide = 25, finalDivide = 1e4 }: OneCycleOptions): Schedule {
  const [first, last] = [1 / divide, 1 / (divide * finalDivide)];
  const top = rise * total - 1;
  const halfCosine = (from: number, to: number, part: number) =>
    to + ((from - to) * (1 + Math.cos(Math.PI * Math.min(part, 1)))) / 2;
  return (t) => (t <= top ? halfCosine(first, 1, t / top) : halfCosine(1, last, (t - top) / (total - 1 - top)));
}

/** Anything with a learning rate. */
export interface Scheduled {
  lr: number;
}

/** Sets an optimiser's learning rate to base · schedule(t) as t counts up. */
export class Scheduler {
  readonly #target: Scheduled;
  readonly #schedule: Schedule;
  #base: number;
  #t = 0;

  constructor(target: Scheduled, schedule: Schedule) {
    this.#target = target;
    this.#schedule = schedule;
    this.#base = target.lr;
    this.#apply();
  }

  /** Moves on by one epoch or step. */
  step(): void {
    this.#t++;
    this.#apply();
  }

  stateDict(): { t: number; base: number } {
    return { t: this.#t, base: this.#base };
  }

  /** Goes on where a saved scheduler stopped. Throws UserError for numbers that none could have saved. */
  loadStateDict({ t, base }: { t: number; base: number }): void {
    checkRates("load the state of a scheduler", { t, base });
    this.#t = t;
    this.#base = base;
    this.#apply();
  }

  #apply(): void {
    this.#target.lr = this.#base * this.#schedule(this.#t);
  }
}
