import type { EpochMetrics } from "./metrics.js";
import type { StepResult } from "./trainer.js";

/** Running means over an epoch's steps: loss and accuracy an image, flips a step; and each layer's flips in all. */
export class EpochMeans {
  #images = 0;
  #steps = 0;
  #loss = 0;
  #correct = 0;
  #flips = 0;
  readonly #layerFlips = new Map<string, number>();
  #seconds = 0;
  #lr = 0;
  #ar: number | undefined;

  add({ loss, correct, images, flips, layerFlips, lr, ar }: StepResult, seconds: number): void {
    this.#images += images;
    this.#steps++;
    this.#loss += loss * images;
    this.#correct += correct;
    this.#flips += flips;
    for (const [name, count] of layerFlips) this.#layerFlips.set(name, (this.#layerFlips.get(name) ?? 0) + count);
    this.#seconds += seconds;
    this.#lr = lr;
    this.#ar = ar;
  }

  get loss(): number {
    return this.#loss / this.#images;
  }

  /** Percent. */
  get accuracy(): number {
    return (100 * this.#correct) / this.#images;
  }

  get flips(): number {
    return this.#flips / this.#steps;
  }

  get imagesPerSecond(): number {
    return this.#images / this.#seconds;
  }

  /** What the epoch's metrics line tells beside the position; the rates are the last step's. */
  line(): Omit<EpochMetrics, "kind" | "epoch" | "step"> {
    return {
      loss: this.loss,
      accuracy: this.accuracy,
      flips: this.flips,
      imagesPerSecond: this.imagesPerSecond,
      seconds: this.#seconds,
      lr: this.#lr,
      ...(this.#ar === undefined ? {} : { ar: this.#ar }),
      ...(this.#layerFlips.size === 0
        ? {}
        : { layers: [...this.#layerFlips].map(([name, flips]) => ({ name, flips })) }),
    };
  }
}
