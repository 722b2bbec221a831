import { describe, expect, it } from "vitest";
import { type RunSummary, summariseRun } from "./summary.js";

const RUN: RunSummary = {
  arch: "PsgResNet18",
  dataset: "CIFAR-10",
  steps: 70_380,
  seconds: 8040,
  accuracy: 93.054,
  bestAccuracy: 93.21,
  bestEpoch: 173,
  kept: 3_349_306,
  total: 11_164_352,
  flips: 12_345_678,
  denseBytes: 44_696_104,
  idealSize: { seed: 8, masks: 1_230_000, signs: 418_663.25, floats: 58_928, total: 1_707_599.25 },
  checkpointBytes: 89_512_345,
  best: "results/pab/best.safetensors",
  checkpoint: "results/pab/checkpoint.safetensors",
  metrics: "results/pab/metrics.jsonl",
  picture: "results/pab/run.svg",
};

describe("summariseRun", () => {
  it("tells accuracy, what is kept, flips, sizes and where the files are", () => {
    expect(summariseRun(RUN)).toEqual([
      "PsgResNet18 on CIFAR-10: 70,380 steps in 2h 14m",
      "  accuracy    93.05 % on the test images (best 93.21 %, after epoch 174)",
      "  kept        3,349,306 of 11,164,352 weights (30.0 %)",
      "  flips       12,345,678 (175 a step, 3.69 per kept weight)",
      "  size        1.7 MB at best: seed 8 B + mask 1.2 MB + signs 419 kB + other parameters 58.9 kB",
      "              44.7 MB as dense float32, 26 times as much",
      "              89.5 MB as the checkpoint, which also holds the optimisers",
      "  picture     results/pab/run.svg",
      "  best        results/pab/best.safetensors",
      "  checkpoint  results/pab/checkpoint.safetensors",
      "  metrics     results/pab/metrics.jsonl",
    ]);
  });

  it("says that the last accuracy is the best, and one step", () => {
    const lines = summariseRun({ ...RUN, steps: 1, seconds: 0.5, accuracy: 10, bestAccuracy: 10, bestEpoch: 0 });
    expect(lines[0]).toBe("PsgResNet18 on CIFAR-10: 1 step in 500 ms");
    expect(lines[1]).toBe("  accuracy    10.00 % on the test images (the best of the run)");
  });

  it("leaves out masks, signs and flips where SGD trained every weight", () => {
    const dense = { seed: 0, masks: 0, signs: 0, floats: 1_100_000, total: 1_100_000 };
    const lines = summariseRun({
      ...RUN,
      kept: 270_000,
      total: 270_000,
      flips: 0,
      denseBytes: 1_100_000,
      idealSize: dense,
    });
    expect(lines.slice(2, 5)).toEqual([
      "  kept        all 270,000 weights",
      "  size        1.1 MB at best: weights 1.1 MB",
      "              1.1 MB as dense float32",
    ]);
  });

  it("shows zero flips where signs are learned: they are worth knowing of", () => {
    expect(summariseRun({ ...RUN, flips: 0 })[3]).toBe("  flips       0 (0 a step, 0.00 per kept weight)");
  });

  it("divides by nothing in an empty network", () => {
    const nothing = { seed: 0, masks: 0, signs: 0, floats: 0, total: 0 };
    const text = summariseRun({ ...RUN, kept: 0, total: 4, denseBytes: 0, idealSize: nothing }).join("\n");
    expect(text).toContain("0 of 4 weights (0 %)");
    expect(text).not.toMatch(/NaN|Infinity/);
  });
});
