import { describe, expect, it } from "vitest";
import { countScale, linearScale, logScale, magnitudeScale, roundRange, type Scale } from "./scale.js";

/** The ticks as texts, and where they lie to the pixel. */
const ticksOf = ({ ticks, at }: Scale) => ticks.map(({ value, label }) => [label, Math.round(at(value))]);

describe("roundRange", () => {
  it.each([
    [0.83, 2.41, { min: 0.5, max: 2.5, interval: 0.5 }],
    [10, 93.2, { min: 0, max: 100, interval: 20 }],
    [0, 100, { min: 0, max: 100, interval: 20 }],
    [2.3, 2.3, { min: 0, max: 2.5, interval: 0.5 }],
    [2.3, 2.3001, { min: 0, max: 2.5, interval: 0.5 }],
    [-3, -3, { min: -3, max: 0, interval: 1 }],
    [0, 0, { min: 0, max: 1, interval: 0.2 }],
  ])("of %d to %d is round", (low, high, range) => {
    const found = roundRange(low, high);
    expect(found.min).toBeCloseTo(range.min, 12);
    expect(found.max).toBeCloseTo(range.max, 12);
    expect(found.interval).toBeCloseTo(range.interval, 12);
  });
});

describe("linearScale", () => {
  it("has round ticks from end to end, and its values between", () => {
    const scale = linearScale(0.83, 2.41, [200, 0]);
    expect(ticksOf(scale)).toEqual([
      ["0.5", 200],
      ["1", 150],
      ["1.5", 100],
      ["2", 50],
      ["2.5", 0],
    ]);
    expect(scale.at(0.75)).toBeCloseTo(175, 9);
  });

  it.each([
    [0.1, 0.28, ["0.1", "0.15", "0.2", "0.25", "0.3"]],
    [-0.3, 0.3, ["-0.4", "-0.2", "0", "0.2", "0.4"]],
    [1e-5, 2e-5, ["1e-5", "1.2e-5", "1.4e-5", "1.6e-5", "1.8e-5", "2e-5"]],
    [0, 4e5, ["0", "1e5", "2e5", "3e5", "4e5"]],
    [-1e290, 1e290, ["-1e290", "-5e289", "0", "5e289", "1e290"]],
    [0, 5e-324, ["0", "0.2", "0.4", "0.6", "0.8", "1"]],
  ])("from %d to %d has short labels", (low, high, labels) => {
    expect(linearScale(low, high, [0, 100]).ticks.map(({ label }) => label)).toEqual(labels);
  });
});

describe("countScale", () => {
  it.each([
    [1, ["0", "1"]],
    [3, ["0", "1", "2", "3"]],
    [70_380, ["0", "20k", "40k", "60k"]],
    [100, ["0", "20", "40", "60", "80", "100"]],
  ])("up to %d has round whole numbers, and ends there", (last, labels) => {
    const { ticks, at } = countScale(last, [10, 20]);
    expect(ticks.map(({ label }) => label)).toEqual(labels);
    expect([at(0), at(last)]).toEqual([10, 20]);
  });
});

describe("logScale", () => {
  it("has room for zero below one, and a power of ten a step above", () => {
    const scale = logScale(0, 900, [0, 4]);
    expect(ticksOf(scale)).toEqual([
      ["0", 0],
      ["1", 1],
      ["10", 2],
      ["100", 3],
      ["1k", 4],
    ]);
    expect(scale.at(0.5)).toBeCloseTo(0.5, 12);
    expect(scale.at(10 ** 1.5)).toBeCloseTo(2.5, 12);
  });

  it.each([
    [30, 40, ["10", "100"]],
    [0, 0, ["0", "1"]],
    [0, 9_007_199_254_740_991, ["0", "1k", "10M", "100G", "1000T"]],
  ])("from %d to %d has at most some six ticks", (low, high, labels) => {
    expect(logScale(low, high, [0, 100]).ticks.map(({ label }) => label)).toEqual(labels);
  });
});

describe("magnitudeScale", () => {
  const ticks = (low: number, high: number) =>
    magnitudeScale(low, high, [0, 600], String).ticks.map(({ value }) => value);

  it.each([
    [0.01, 0.5, [0.01, 0.02, 0.05, 0.1, 0.2, 0.5]],
    [0.001, 1, [0.001, 0.01, 0.1, 1]],
    [40, 60, [40, 50, 60]],
    [1650, 2700, [1800, 2000, 2200, 2400, 2600]],
    [0.3, 0.3, [0.2, 0.3, 0.4, 0.5]],
  ])("from %d to %d has ticks at %j", (low, high, values) => {
    expect(ticks(low, high)).toEqual(values);
  });

  it("puts equal factors at equal distances, and the ends within", () => {
    const { at } = magnitudeScale(1, 100, [0, 600], String);
    expect(at(10)).toBeCloseTo(300);
    expect(at(100) - at(10)).toBeCloseTo(at(10) - at(1));
    expect(at(1)).toBeGreaterThan(0);
    expect(at(100)).toBeLessThan(600);
  });
});
