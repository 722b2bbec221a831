import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { errorCode } from "@peekaboo/files";
import type { Config } from "../config/config.js";
import { IMAGE_FOLDER } from "../config/options.js";
import { findSource } from "../data/sets/sources.js";

type Length = Config<"dataset" | "trainLimit" | "batchSize" | "epochs" | "maxSteps">;

/** The steps that a run takes; null where its images have not been counted yet. */
export function stepsOf({ dataset, trainLimit, batchSize, epochs, maxSteps }: Length): number | null {
  if (dataset === IMAGE_FOLDER) return maxSteps;
  const { count } = findSource(dataset).splits.train;
  const steps = epochs * Math.ceil(Math.min(trainLimit ?? count, count) / batchSize);
  return Math.min(steps, maxSteps ?? steps);
}

const TAIL_BYTES = 4096;

/** The last step that a run, which may be going on, has noted in its `metrics.jsonl`; 0 where there is none. */
export function lastStepIn(metrics: string): number {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(metrics, "r");
    const { size } = fstatSync(descriptor);
    const bytes = Buffer.alloc(Math.min(size, TAIL_BYTES));
    readSync(descriptor, bytes, 0, bytes.length, size - bytes.length);
    const steps = [...bytes.toString("latin1").matchAll(/"step":(\d{1,15})\b/g)];
    return Number(steps.at(-1)?.[1] ?? 0);
  } catch (error) {
    if (errorCode(error) === undefined) throw error;
    return 0;
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}
