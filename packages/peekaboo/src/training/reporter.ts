import type { DataProgress } from "../data/source.js";
import type { PruneReport } from "../pruning/loop.js";
import type { EpochMeans } from "./epoch-means.js";
import type { Evaluation } from "./evaluation.js";
import type { StepResult } from "./trainer.js";

/**
 * Hears what a training does while it does it. Every method may be left out; none is waited for, and what one throws ends the
 * training.
 */
export interface Reporter {
  /** A sentence about what is done now. */
  say?(text: string): void;
  /** A sentence about what is otherwise than one might expect. */
  note?(text: string): void;
  /** A sentence about what goes wrong, with what to change. */
  warn?(text: string): void;
  /** The data set of that name is being fetched. */
  data?(name: string, progress: DataProgress): void;
  /** A piece of work begins; until {@link Reporter.end} no other does. */
  begin?(work: Work): void;
  /** So many random weights, rounds of pruning, batches of an estimate, or images of a test, are done. */
  advance?(done: number): void;
  /** A step of an epoch was taken. */
  step?(step: ReportedStep): void;
  /** A step was passed over: its loss or a gradient was not finite. */
  skip?(step: StepPlace): void;
  /** The work at hand, or the fetching, is over or was broken off. */
  end?(): void;
  /** A pruning is over. */
  prune?(pruned: Pruned): void;
  /** An epoch, or what was asked for of it, has been trained and tested. */
  epoch?(epoch: ReportedEpoch): void;
}

/** A piece of work: its units, and how many of them were done before. */
export type Work =
  | { kind: "draw"; total: number }
  | { kind: "prune"; pruner: string; total: number }
  | { kind: "epoch"; epoch: number; epochs: number; total: number; done: number }
  | { kind: "statistics"; total: number }
  | { kind: "test"; total: number };

/** Where a step stands. */
export interface StepPlace {
  /** From 0. */
  epoch: number;
  /** Of the epoch, from 1. */
  epochStep: number;
  epochSteps: number;
  /** Means over the epoch's steps so far. */
  means: Pick<EpochMeans, "loss" | "accuracy" | "skipped">;
}

/** A step of an epoch. */
export interface ReportedStep extends StepPlace {
  result: StepResult;
  seconds: number;
}

/** What a pruning kept. */
export interface Pruned extends PruneReport {
  /** What it took, also where another run did it. */
  seconds: number;
  /** The name of that other run, whose masks this one took over; absent where it pruned itself. */
  takenFrom?: string;
}

/** An epoch that was trained and tested. */
export interface ReportedEpoch {
  /** From 0. */
  epoch: number;
  means: Pick<EpochMeans, "loss" | "accuracy" | "flips" | "layerFlips" | "imagesPerSecond">;
  result: Evaluation;
  /** Whether the test accuracy is the highest so far. */
  best: boolean;
  numClasses: number;
  /** What the rest of the run will take. */
  secondsLeft: number;
}
