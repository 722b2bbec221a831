import { z } from "zod";
import type { Config } from "../config/config.js";

const count = z.int().nonnegative();
const percent = z.number().min(0).max(100);

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
  /** Steps whose loss or gradient was not finite, beside `steps`. */
  skipped: count.default(0),
  /** How many of these the last steps were, over the epochs' bounds. */
  skippedInARow: count.default(0),
});

export type MeansState = z.output<typeof meansSchema>;

/** Where a run stands: all that its continuation needs beside tensors, in JSON. */
export const progressSchema = z.object({
  /** The epoch of the last step, from 0. */
  epoch: count,
  /** Optimiser steps done. */
  step: count,
  /** Whether the network has been tested after the last step. */
  tested: z.boolean().default(true),
  /** Shots of pruning done. */
  shots: count.default(0),
  /** Percent; null before the first test. */
  bestAccuracy: percent.nullable(),
  bestEpoch: count.default(0),
  /** Sign changes so far. */
  flips: count.default(0),
  /** Length of metrics.jsonl. */
  metricsBytes: count.default(0),
  /** The steps amid an epoch at which the run was at its end, and tested, before it was made longer; absent where none. */
  pauses: z.exactOptional(z.array(count)),
  /** The means of an epoch that isn't over. */
  means: meansSchema.nullable().default(null),
});

export type Progress = z.output<typeof progressSchema>;

/** Where a run stands before its first step. */
export const BEGINNING: Progress = progressSchema.parse({ epoch: 0, step: 0, bestAccuracy: null });

/** Whether a run of these settings that stands there has come to its end, and was tested then. */
export function isOver(
  { step, epoch, tested }: Pick<Progress, "step" | "epoch" | "tested">,
  { epochs, maxSteps }: Config<"epochs" | "maxSteps">,
): boolean {
  return step > 0 && tested && (epoch + 1 >= epochs || step === maxSteps);
}
