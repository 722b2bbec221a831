import { BEGINNING, type Progress } from "../checkpoint/progress.js";
import type { Config } from "../config/config.js";
import { EpochMeans } from "./epoch-means.js";
import type { Position } from "./rates.js";
import type { StepResult } from "./trainer.js";

/** How long a run is, in optimiser steps. */
export interface RunLength {
  readonly stepsPerEpoch: number;
  readonly totalSteps: number;
}

/** The length of a run on so many training images. */
export function runLength(
  { epochs, batchSize, maxSteps }: Config<"epochs" | "batchSize" | "maxSteps">,
  images: number,
): RunLength {
  const stepsPerEpoch = Math.ceil(images / batchSize);
  return { stepsPerEpoch, totalSteps: Math.min(epochs * stepsPerEpoch, maxSteps ?? Number.POSITIVE_INFINITY) };
}

/** Where a run stands and what it has counted: comes from {@link Progress}, and is kept as such. */
export class RunState implements RunLength {
  readonly stepsPerEpoch: number;
  readonly totalSteps: number;
  /** The step at which this process began. */
  readonly #first: number;
  #epoch: number;
  #step: number;
  #shots: number;
  #flips: number;
  #best: { accuracy: number; epoch: number };
  #means: EpochMeans;
  #tested: boolean;
  #saved = true;
  readonly #pauses: number[];
  readonly #planned: readonly number[];
  readonly #here = { images: 0, seconds: 0 };

  /** @param planned the steps at which to test amid an epoch, as the run did that is repeated */
  constructor(
    { stepsPerEpoch, totalSteps }: RunLength,
    progress: Progress = BEGINNING,
    planned: readonly number[] = [],
  ) {
    this.stepsPerEpoch = stepsPerEpoch;
    this.totalSteps = totalSteps;
    this.#first = progress.step;
    this.#epoch = progress.epoch;
    this.#step = progress.step;
    this.#shots = progress.shots;
    this.#flips = progress.flips;
    this.#best = { accuracy: progress.bestAccuracy ?? Number.NEGATIVE_INFINITY, epoch: progress.bestEpoch };
    this.#means = new EpochMeans(progress.means);
    this.#tested = progress.tested;
    this.#planned = planned;
    this.#pauses = [...(progress.pauses ?? [])];
    this.#notePause();
  }

  /** The epoch that is being trained, or was last; from 0. */
  get epoch(): number {
    return this.#epoch;
  }

  /** Optimiser steps done, skipped ones included. */
  get step(): number {
    return this.#step;
  }

  get position(): Position {
    return { epoch: this.#epoch, step: this.#step, totalSteps: this.totalSteps };
  }

  get isOver(): boolean {
    return this.#step >= this.totalSteps;
  }

  /** How many epochs the run has, the last of which may be cut short. */
  get epochs(): number {
    return Math.ceil(this.totalSteps / this.stepsPerEpoch);
  }

  /** Steps done of the epoch. */
  get epochStep(): number {
    return this.#step - this.#epoch * this.stepsPerEpoch;
  }

  /** Steps that the epoch has; fewer than others where the run ends in it, or until it is tested amid it. */
  get epochSteps(): number {
    const begun = this.#epoch * this.stepsPerEpoch;
    const pause = this.#planned.find((step) => (this.#tested ? step > this.#step : step >= this.#step)) ?? Infinity;
    return Math.min(this.stepsPerEpoch, this.totalSteps - begun, pause - begun);
  }

  /** Whether no step is left of the epoch that the last step belongs to. */
  get epochIsOver(): boolean {
    return this.epochStep === this.epochSteps;
  }

  /** Whether neither a step nor a test is left; also of a run that went further than it is now asked to. */
  get isDone(): boolean {
    return this.isOver && (this.#tested || !this.epochIsOver);
  }

  /** Shots of pruning done. */
  get shots(): number {
    return this.#shots;
  }

  /** Sign changes so far. */
  get flips(): number {
    return this.#flips;
  }

  /** The highest test accuracy, in percent, −∞ before the first test, and its epoch. */
  get best(): { readonly accuracy: number; readonly epoch: number } {
    return this.#best;
  }

  /** Of the epoch that is being trained, or was last. */
  get means(): EpochMeans {
    return this.#means;
  }

  /** Whether the network has been tested after the last step. */
  get tested(): boolean {
    return this.#tested;
  }

  /** Whether the latest checkpoint says where the run stands; steps that were skipped since may be missing there. */
  get saved(): boolean {
    return this.#saved;
  }

  /** The speed of this process's steps; 0 before the first. */
  get imagesPerSecond(): number {
    return this.#here.seconds > 0 ? this.#here.images / this.#here.seconds : 0;
  }

  /** Goes on to the epoch of the next step. */
  enterEpoch(): void {
    this.#epoch = Math.floor(this.#step / this.stepsPerEpoch);
  }

  /** Starts the epoch's means, unless it goes on in the midst of it. */
  beginSteps(): void {
    if (this.epochStep === 0) this.#means = this.#means.following();
  }

  /** Counts a step on all ranks' images, which took so many seconds. */
  add(result: StepResult, seconds: number): void {
    this.#step++;
    this.#saved = false;
    this.#tested = false;
    this.#flips += result.flips;
    this.#here.images += result.images;
    this.#here.seconds += seconds;
    this.#means.add(result, seconds);
  }

  /** Counts a step that left the network as it was. */
  skip(): void {
    this.#step++;
    this.#tested = false;
    this.#means.skip();
  }

  /** Counts a shot of pruning. */
  pruned(): void {
    this.#shots++;
  }

  /** Takes note of a test's accuracy, in percent; whether it is the highest so far. */
  judge(accuracy: number): boolean {
    const best = accuracy > this.#best.accuracy;
    if (best) this.#best = { accuracy, epoch: this.#epoch };
    this.#tested = true;
    this.#notePause();
    return best;
  }

  /** Where the run was tested amid an epoch and yet goes on, it had a shorter length before, or repeats one that had. */
  #notePause(): void {
    const amid = this.epochStep > 0 && this.epochStep < this.stepsPerEpoch;
    if (this.#tested && amid && !this.isOver && !this.#pauses.includes(this.#step)) this.#pauses.push(this.#step);
  }

  /** Takes note of a checkpoint from which the run goes on. */
  wasSaved(): void {
    this.#saved = true;
  }

  /** How long the rest of the run takes if it goes on as in the `elapsed` seconds since this process began. */
  secondsLeft(elapsed: number): number {
    return (elapsed / Math.max(this.#step - this.#first, 1)) * (this.totalSteps - this.#step);
  }

  /** What a checkpoint keeps. */
  progress(metricsBytes: number): Progress {
    const { accuracy, epoch: bestEpoch } = this.#best;
    return {
      epoch: this.#epoch,
      step: this.#step,
      tested: this.#tested,
      shots: this.#shots,
      bestAccuracy: Number.isFinite(accuracy) ? accuracy : null,
      bestEpoch,
      flips: this.#flips,
      metricsBytes,
      ...(this.#pauses.length === 0 ? {} : { pauses: [...this.#pauses] }),
      means: this.#means.toJSON(),
    };
  }
}
