import { describe, expect, it } from "vitest";
import { parseConfig } from "../config/config.js";
import { adaptivityRate, learningRate } from "./rates.js";

const { sgd, bop } = parseConfig({ bop: { arDecayFreq: 45, arDecayRatio: 0.15 } });
const at = (epoch: number, step = 0) => ({ epoch, step, totalSteps: 100 });

describe("the learning rate", () => {
  it("falls to a tenth from each milestone epoch on", () => {
    const rates = [0, 79, 80, 119, 120, 300].map((epoch) => learningRate(sgd, at(epoch)));
    [0.1, 0.1, 0.01, 0.01, 0.001, 0.001].forEach((expected, i) => {
      expect(rates[i]).toBeCloseTo(expected, 15);
    });
  });

  it("goes straight or along half a cosine to its final value over the run's steps", () => {
    const linear = { ...sgd, lr: 0.5, lrSchedule: "linear", lrFinal: 0.25 } as const;
    expect([0, 50, 100].map((step) => learningRate(linear, at(0, step)))).toEqual([0.5, 0.375, 0.25]);
    const cosine = { ...sgd, lrSchedule: "cosine" } as const;
    expect(learningRate(cosine, at(0, 50))).toBeCloseTo(0.05, 15);
    expect(learningRate(cosine, at(0, 25))).toBeCloseTo(0.1 * (0.5 + Math.SQRT2 / 4), 15);
    expect(learningRate(cosine, at(0, 100))).toBeCloseTo(0, 15);
  });
});

describe("Bop's adaptivity rate", () => {
  it("decays after every arDecayFreq epochs", () => {
    const rates = [0, 44, 45, 89, 90].map((epoch) => adaptivityRate(bop, at(epoch)));
    expect(rates).toEqual([1e-3, 1e-3, 1e-3 * 0.15, 1e-3 * 0.15, 1e-3 * 0.15 * 0.15]);
  });

  it("goes straight to its final value on the linear schedule", () => {
    const linear = { ...bop, ar: 1e-2, arSchedule: "linear", arFinal: 5e-4 } as const;
    expect(adaptivityRate(linear, at(0, 0))).toBe(1e-2);
    expect(adaptivityRate(linear, at(3, 50))).toBeCloseTo(5.25e-3, 12);
  });
});

describe("a schedule over the run's steps", () => {
  const shapes = ["linear", "cosine"] as const;
  const pairs = [
    [0.1, 0],
    [0.3, 0.1],
    [1e-3, 2e-4],
    [1e-7, 0.7],
  ] as const;

  it.each(shapes)("%s begins and ends at its values exactly, and stays at the last", (shape) => {
    for (const [from, to] of pairs) {
      const ends = (rate: (step: number) => number) => [0, 100, 101, 1e6].map(rate);
      const lr = (step: number) => learningRate({ ...sgd, lr: from, lrSchedule: shape, lrFinal: to }, at(0, step));
      const ar = (step: number) => adaptivityRate({ ...bop, ar: from, arSchedule: shape, arFinal: to }, at(0, step));
      expect(ends(lr)).toEqual([from, to, to, to]);
      expect(ends(ar)).toEqual([from, to, to, to]);
    }
  });

  it("ends with --max-steps: the last step is one short of the final value, and γ above it", () => {
    const position = { epoch: 0, step: 6, totalSteps: 7 };
    const linear = { ...bop, ar: 7e-3, arSchedule: "linear", arFinal: 0 } as const;
    expect(adaptivityRate(linear, position)).toBeCloseTo(1e-3, 15);
    const cosine = { ...sgd, lr: 0.2, lrSchedule: "cosine", lrFinal: 0.1 } as const;
    expect(learningRate(cosine, position)).toBeCloseTo(0.1 + 0.05 * (1 + Math.cos((6 / 7) * Math.PI)), 15);
    expect(adaptivityRate(linear, { epoch: 0, step: 0, totalSteps: 1 })).toBe(7e-3);
  });
});
