import type { TensorEntry } from "@peekaboo/files/safetensors";
import { describe, expect, it } from "vitest";
import type { Metrics } from "../runs/metrics.js";
import { compareEnvironments, compareMetrics, compareTensors } from "./compare-runs.js";

const step = (number: number, loss: number, imagesPerSecond = 10): Metrics => ({
  ...{ kind: "step", epoch: 0, step: number, loss, accuracy: 50, flips: 3, imagesPerSecond, lr: 0.1 },
});

describe("compareMetrics", () => {
  it("passes over times and finds the first line, step and field that differ", () => {
    expect(compareMetrics([step(1, 2), step(2, 1)], [step(1, 2, 99), step(2, 1)])).toEqual({ lines: 2, first: null });
    expect(compareMetrics([step(1, 2), step(2, 1)], [step(1, 2), step(2, 1.0000000000000002)])).toEqual({
      lines: 2,
      first: {
        ...{ line: 2, kind: "step", epoch: 0, step: 2, name: "loss", original: "1", reproduced: "1.0000000000000002" },
      },
    });
  });

  it("finds a line that one of them lacks", () => {
    const { first } = compareMetrics([step(1, 2)], [step(1, 2), step(2, 1)]);
    expect(first).toMatchObject({ line: 2, step: 2, name: "", original: "nothing" });
    expect(compareMetrics([step(1, 2), step(2, 1)], [step(1, 2)]).first).toMatchObject({
      line: 2,
      reproduced: "nothing",
    });
  });

  it("passes over each layer's flips where the original is of a version that didn't tell them", () => {
    const flips = (count: number): Metrics => ({
      ...{ kind: "flips", epoch: 0, step: 1, layers: [{ name: "conv1.weight", flips: count, kept: 9 }] },
    });
    expect(compareMetrics([step(1, 2)], [step(1, 2), flips(3)])).toEqual({ lines: 1, first: null });
    const { first } = compareMetrics([step(1, 2), flips(3)], [step(1, 2), flips(4)]);
    expect(first).toMatchObject({ line: 2, kind: "flips", step: 1, name: "layers" });
  });
});

const floats = (...values: number[]): TensorEntry => ({
  dtype: "F32",
  shape: [values.length],
  data: new Uint8Array(Float32Array.from(values).buffer),
});

describe("compareTensors", () => {
  it("compares bits: zero and minus zero differ, NaN and itself don't", () => {
    const original = new Map([
      ["a", floats(Number.NaN, 1)],
      ["b", floats(1, 2, 0)],
      ["c", floats(1)],
    ]);
    expect(compareTensors(original, original)).toEqual({ tensors: 3, differing: 0, first: null });
    const other = new Map([...original, ["b", floats(1, 2, -0)], ["c", floats(1, 2)]] as const);
    expect(compareTensors(original, other)).toEqual({
      tensors: 3,
      differing: 2,
      first: { name: "b", original: "0", reproduced: "-0", index: 2 },
    });
  });

  it("tells of another shape and of a tensor that is missing", () => {
    const first = (a: [string, TensorEntry][], b: [string, TensorEntry][]) =>
      compareTensors(new Map(a), new Map(b)).first;
    expect(first([["a", floats(1)]], [["a", floats(1, 2)]])).toEqual({
      ...{ name: "a", original: "F32 [1]", reproduced: "F32 [2]", index: null },
    });
    expect(first([], [["a", floats(1)]])).toMatchObject({ original: "nothing", reproduced: "F32 [1]" });
  });
});

describe("compareEnvironments", () => {
  it("lists what differs by name, but for the command line and what an older file doesn't tell", () => {
    const cpu = { model: "A", features: ["avx2"] };
    const original = { node: "22.0.0", threads: 2, cpu, commandLine: ["train"] };
    const reproduced = { ...original, libtorch: "2.11.0", threads: 4, cpu: { ...cpu, model: "B" }, commandLine: [] };
    expect(compareEnvironments(original, reproduced)).toEqual([
      { name: "threads", original: "2", reproduced: "4" },
      { name: "cpu.model", original: '"A"', reproduced: '"B"' },
    ]);
    expect(compareEnvironments({}, reproduced)).toEqual([]);
  });
});
