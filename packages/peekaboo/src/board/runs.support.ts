import { appendFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { RandomStream } from "@peekaboo/seed";
import type { Metrics, StepMetrics } from "../runs/metrics.js";

/** Some steps as a run records them, the same for the same seed. */
export function someSteps(from: number, to: number, seed = 0): StepMetrics[] {
  const random = new RandomStream(seed, "steps");
  return Array.from({ length: to - from + 1 }, (_, i) => {
    const step = from + i;
    const noise = random.uint32(step) / 2 ** 32;
    const figures = {
      loss: 2.3 * Math.exp(-step / 3000) + noise / 3,
      accuracy: 100 * noise,
      flips: random.uint32(step) % 1000,
    };
    return {
      kind: "step",
      epoch: Math.floor((step - 1) / 100),
      step,
      ...figures,
      imagesPerSecond: 400 + noise,
      lr: 1e-7,
      ar: 0.01,
    };
  });
}

/** Lines as a run's file has them. */
export function asLines(metrics: readonly Metrics[]): string {
  return metrics.map((line) => `${JSON.stringify(line)}\n`).join("");
}

/** Makes a run's folder with these lines; gives its path. */
export function makeRun(folder: string, name: string, metrics: readonly Metrics[]): string {
  const path = join(folder, name);
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, "metrics.jsonl"), asLines(metrics));
  return path;
}

/** Appends text to a run's figures. */
export function append(run: string, text: string): void {
  appendFileSync(join(run, "metrics.jsonl"), text);
}
