import type { BopConfig, SgdConfig } from "../config/config.js";
import { formatCount, formatPercent } from "../console/format.js";
import type { Network } from "../models/network.js";
import { setting } from "../setting.js";
import type { EpochMeans } from "./epoch-means.js";
import { keptWeights } from "./kept-weights.js";
import type { Nonfinite } from "./nonfinite-error.js";

/** The share of the kept weights that may flip in one step without a word. */
const MOST = 0.9;

/** The per-step figures that warnings are based on. */
export interface WatchedStep {
  flips: number;
  /** Bop's γ; undefined where Bop takes no part. */
  ar: number | undefined;
}

/** Tells what goes wrong with the flips and the numbers of an epoch, and what to change: each thing once an epoch. */
export class EpochWarnings {
  readonly #say: (text: string) => void;
  readonly #bop: Pick<BopConfig, "tau">;
  readonly #lr: number;
  /** What Bop may flip. */
  readonly #kept: number;
  #flipped = false;
  #firstSkip: (Nonfinite & { step: number }) | null = null;

  constructor(
    network: Network,
    { bop, sgd }: { bop: Pick<BopConfig, "tau">; sgd: Pick<SgdConfig, "lr"> },
    say: (text: string) => void,
  ) {
    this.#say = say;
    this.#bop = bop;
    this.#lr = sgd.lr;
    this.#kept = [...keptWeights(network).values()].reduce((sum, kept) => sum + kept, 0);
  }

  /** After a step, which counts from 1. */
  step({ flips, ar }: WatchedStep, step: number): void {
    if (this.#flipped || ar === undefined || flips <= MOST * this.#kept) return;
    this.#flipped = true;
    const share =
      flips >= this.#kept ? "all kept weights" : `${formatPercent(flips / this.#kept)} % of the kept weights`;
    this.#say(
      `${share} flipped their sign in step ${step}: γ is too large or τ too small. Lower ${setting("bop.ar")} (${ar} now) or raise ${setting("bop.tau")} (${this.#bop.tau}).`,
    );
  }

  /** After a step, which counts from 1, that was skipped. */
  skip(nonfinite: Nonfinite, step: number): void {
    this.#firstSkip ??= { what: nonfinite.what, where: nonfinite.where, step };
  }

  /** After the epoch's last step. */
  end(epoch: number, { steps, flips, skipped, ar }: Pick<EpochMeans, "steps" | "flips" | "skipped" | "ar">): void {
    if (ar !== null && ar > 0 && steps > 0 && flips === 0) {
      const { tau } = this.#bop;
      // A threshold of zero can't be lowered, and lets a weight flip by any average of its sign.
      const why =
        tau === 0
          ? `the gradients' averages have no weight's sign, or are zero. Raise ${setting("bop.ar")} (${ar} now)`
          : `τ is too large or γ too small. Lower ${setting("bop.tau")} (${tau} now) or raise ${setting("bop.ar")} (${ar})`;
      this.#say(`no weight flipped its sign in epoch ${epoch + 1}: ${why}.`);
    }
    if (skipped === 0) return;
    const first =
      this.#firstSkip === null
        ? ""
        : `, first in step ${this.#firstSkip.step} (${this.#firstSkip.what}: ${this.#firstSkip.where})`;
    const advice = this.#lr > 0 ? ` Lower ${setting("sgd.lr")} if they grow in number.` : "";
    this.#say(
      `skipped ${formatCount(skipped)} of ${formatCount(skipped + steps)} batches of epoch ${epoch + 1}, whose loss or gradient was not finite${first}.${advice}`,
    );
  }
}
