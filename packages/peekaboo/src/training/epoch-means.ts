import { z } from "zod";
import type { EpochMetrics } from "./metrics.js";
import type { StepResult } from "./trainer.js";

const count = z.int().nonnegative();

/** Sums over an epoch's steps so far. */
export const meansSchema = z.object({
  images: count,
  steps: count,
  loss: z.number(),
  correct: count,
  flips: count,
  layerFlips: z.record(z.string(), count),
  seconds: z.number().nonnegative(),
  lr: z.number().nonnegative(),
  ar: z.number().nonnegative().nullable(),
});

export type MeansState = z.output<typeof meansSchema>;

/** Running means over an epoch's steps: loss and accuracy an image, flips a step; and each layer's flips in all. */
export class EpochMeans {
  readonly #sums: MeansState;

  /** @param state the sums of an epoch's beginning, which an interrupted run left */
  constructor(state: MeansState | null = null) {
    const none = { images: 0, steps: 0, loss: 0, correct: 0, flips: 0, seconds: 0, lr: 0, ar: null };
    this.#sums = structuredClone(state) ?? { ...none, layerFlips: {} };
  }

  add({ loss, correct, images, flips, layerFlips, lr, ar }: StepResult, seconds: number): void {
    const sums = this.#sums;
    sums.images += images;
    sums.steps++;
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

  get imagesPerSecond(): number {
    return this.#sums.images / this.#sums.seconds;
  }

  /** What a checkpoint keeps. */
  toJSON(): MeansState {
    return structuredClone(this.#sums);
  }

  /** What the epoch's metrics line tells beside the position; the rates are the last step's. */
  line(): Omit<EpochMetrics, "kind" | "epoch" | "step"> {
    const { seconds, lr, ar, layerFlips } = this.#sums;
    const layers = Object.entries(layerFlips).map(([name, flips]) => ({ name, flips }));
    return {
      loss: this.loss,
      accuracy: this.accuracy,
      flips: this.flips,
      imagesPerSecond: this.imagesPerSecond,
      seconds,
      lr,
      ...(ar === null ? {} : { ar }),
      ...(layers.length === 0 ? {} : { layers }),
    };
  }
}
