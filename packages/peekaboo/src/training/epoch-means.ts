import type { MeansState } from "../checkpoint/progress.js";
import type { EpochMetrics } from "../runs/metrics.js";
import type { StepResult } from "./trainer.js";

const NONE = {
  ...{ images: 0, steps: 0, loss: 0, correct: 0, flips: 0, seconds: 0, lr: 0, ar: null },
  ...{ skipped: 0, skippedInARow: 0 },
};

/** Running means over an epoch's steps: loss and accuracy an image, flips a step; and each layer's flips in all. */
export class EpochMeans {
  readonly #sums: MeansState;

  /** @param state the sums of an epoch's beginning, which an interrupted run left */
  constructor(state: MeansState | null = null) {
    this.#sums = structuredClone(state) ?? { ...NONE, layerFlips: {} };
  }

  /** What the next epoch begins with. */
  following(): EpochMeans {
    return new EpochMeans({ ...NONE, layerFlips: {}, skippedInARow: this.skippedInARow });
  }

  /** Counts a step that changed nothing. */
  skip(): void {
    this.#sums.skipped++;
    this.#sums.skippedInARow++;
  }

  add({ loss, correct, images, flips, layerFlips, lr, ar }: StepResult, seconds: number): void {
    const sums = this.#sums;
    sums.images += images;
    sums.steps++;
    sums.skippedInARow = 0;
    sums.loss += loss * images;
    sums.correct += correct;
    sums.flips += flips;
    for (const [name, own] of layerFlips) sums.layerFlips[name] = (sums.layerFlips[name] ?? 0) + own;
    sums.seconds += seconds;
    sums.lr = lr;
    sums.ar = ar ?? null;
  }

  get loss(): number {
    return this.#sums.loss / this.#sums.images;
  }

  /** Percent. */
  get accuracy(): number {
    return (100 * this.#sums.correct) / this.#sums.images;
  }

  get flips(): number {
    return this.#sums.flips / this.#sums.steps;
  }

  /** Steps that counted. */
  get steps(): number {
    return this.#sums.steps;
  }

  /** Bop's γ in the last step; null where Bop takes no part. */
  get ar(): number | null {
    return this.#sums.ar;
  }

  get skipped(): number {
    return this.#sums.skipped;
  }

  get skippedInARow(): number {
    return this.#sums.skippedInARow;
  }

  get imagesPerSecond(): number {
    return this.#sums.images / this.#sums.seconds;
  }

  /** What a checkpoint keeps. */
  toJSON(): MeansState {
    return structuredClone(this.#sums);
  }

  /** Sign changes by Bop's parameter; empty where Bop takes no part. */
  get layerFlips(): ReadonlyMap<string, number> {
    return new Map(Object.entries(this.#sums.layerFlips));
  }

  /** What the epoch's metrics line tells beside the position; the rates are the last step's. */
  line(): Omit<EpochMetrics, "kind" | "epoch" | "step"> {
    const { seconds, lr, ar, skipped } = this.#sums;
    return {
      loss: this.loss,
      accuracy: this.accuracy,
      flips: this.flips,
      imagesPerSecond: this.imagesPerSecond,
      seconds,
      lr,
      ...(ar === null ? {} : { ar }),
      ...(skipped === 0 ? {} : { skipped }),
    };
  }
}
