import type { Shape } from "@peekaboo/seed";
import { describe, expect, it } from "vitest";
import { Dice, Sketch } from "../graphs.support.js";
import { tilesOf } from "../kernels/tiles.js";
import { type Buffer, place } from "./arena.js";
import { NO_MARGINS, planes } from "./geometry.js";
import { lower } from "./lower.js";
import { planOf } from "./plan.js";
import { tapsOf } from "./taps.js";

describe("lower", () => {
  it("makes one layer of a convolution, its BatchNorm, the shortcut's sum and ReLU", () => {
    const sketch = new Sketch([4, 8, 8], new Dice(0));
    const inner = sketch.relu(sketch.affine(sketch.conv(0, 4, [3, 3])));
    const sum = sketch.sum(sketch.affine(sketch.conv(inner, 4, [3, 3])), 0);
    const last = sketch.relu(sum);
    const { layers, result } = lower(sketch.graph, sketch.tensors, sketch.shapes);
    expect(layers.map(({ kind, input, output }) => ({ kind, input, output }))).toEqual([
      { kind: "sum", input: 0, output: inner },
      { kind: "sum", input: inner, output: last },
    ]);
    expect(layers[1]).toMatchObject({ residual: 0, relu: true });
    expect(result).toBe(last);
  });

  it("computes the shortcut's own convolution before the layer that adds it", () => {
    const sketch = new Sketch([2, 6, 6], new Dice(0));
    const main = sketch.affine(sketch.conv(0, 4, [3, 3]));
    const shortcut = sketch.affine(sketch.conv(0, 4, [1, 1]));
    const sum = sketch.sum(main, shortcut);
    const { layers } = lower(sketch.graph, sketch.tensors, sketch.shapes);
    expect(layers.map(({ output }) => output)).toEqual([shortcut, sum]);
  });

  it("leaves what two read as it is", () => {
    const sketch = new Sketch([2, 6, 6], new Dice(0));
    const convolved = sketch.conv(0, 2, [3, 3]);
    const sum = sketch.sum(sketch.relu(convolved), convolved);
    const { layers } = lower(sketch.graph, sketch.tensors, sketch.shapes);
    expect(layers.map(({ output }) => output)).toEqual([convolved, convolved + 1, sum]);
  });

  it("folds scale and shift as they follow each other", () => {
    const tensors = new Map(
      Object.entries({ a: [2], b: [3], c: [5], d: [7] }).map(([name, data]) => [
        name,
        { shape: [1], data: Float32Array.from(data) },
      ]),
    );
    const input: Shape = [1, 2, 2];
    const nodes = [
      { op: "affine", inputs: [0], scale: "a", shift: "b" } as const,
      { op: "affine", inputs: [1], scale: "c", shift: "d" } as const,
    ];
    const { layers } = lower({ input, nodes }, tensors, [input, input, input]);
    // 5 · (2x + 3) + 7
    expect(layers).toMatchObject([
      { weight: Float32Array.of(2), scale: Float64Array.of(5), shift: Float64Array.of(22) },
    ]);
  });

  it.each(["linear", "conv2d"])("moves no numbers for a reshape that only a linear layer reads (%s)", (op) => {
    const sketch = new Sketch([2, 3, 3], new Dice(0));
    const flat = sketch.add({ op: "reshape", inputs: [sketch.relu(0)], shape: [18, 1, 1] });
    if (op === "linear") sketch.linear(flat, 5);
    else sketch.conv(flat, 5, [1, 1]);
    const { layers } = lower(sketch.graph, sketch.tensors, sketch.shapes);
    expect(layers.map(({ kind, input }) => [kind, input])).toEqual([
      ["sum", 0],
      ["sum", 1],
    ]);
  });
});

describe("tapsOf", () => {
  const window = { kernel: [3, 1], stride: [2, 2], padding: [1, 0], dilation: [1, 1] } as const;

  it("says in which phase a kernel's position lies, and where there", () => {
    const { stride, vertical, horizontal } = tapsOf(window, [1, 8, 8], [1, 4, 4]);
    expect(stride).toEqual([2, 2]);
    // Rows -1, 0 and 1: the last of phase 1 before the image, and the first of each phase.
    expect(vertical).toEqual([
      { phase: 1, place: -1 },
      { phase: 0, place: 0 },
      { phase: 1, place: 0 },
    ]);
    expect(horizontal).toEqual([{ phase: 0, place: 0 }]);
  });

  it("leaves out what meets padding alone, and steps nowhere for one output", () => {
    const { stride, vertical } = tapsOf(window, [1, 1, 1], [1, 1, 1]);
    expect(stride).toEqual([1, 1]);
    expect(vertical).toEqual([undefined, { phase: 0, place: 0 }, undefined]);
  });
});

describe("planes", () => {
  it("shares margins between rows and between channels", () => {
    const margins = { top: 1, left: 1, bottom: 1, right: 1 };
    expect(planes([2, 4, 4], margins)).toMatchObject({ row: 5, plane: 25, origin: 6 });
    expect(planes([2, 7, 7], margins)).toMatchObject({ row: 8, plane: 64, origin: 9 });
    expect(planes([2, 5, 5], NO_MARGINS)).toMatchObject({ row: 8, plane: 40, origin: 0 });
  });
});

describe("place", () => {
  const buffer = (fill: number, pattern: string): Buffer => ({
    geometry: planes([1, 4, 4], NO_MARGINS),
    fill,
    pattern,
    base: -1,
  });
  const chain = (...buffers: Buffer[]) => {
    const uses = buffers.map((writes, time) => ({ reads: buffers.slice(Math.max(0, time - 1), time), writes }));
    return place(uses, buffers[0] ?? buffer(0, "")).places.map(({ base }) => base);
  };

  it("gives a place to the next of its kind when nobody reads it any more, but the result's to nobody", () => {
    const [a, b, c, d] = [buffer(0, ""), buffer(0, ""), buffer(0, ""), buffer(0, "")];
    // 24 floats each, up to the next 64 bytes; the first is the result.
    expect(chain(a, b, c, d)).toEqual([0, 128, 256]);
    expect(d.base).toBe(b.base);
  });

  it("gives none to a buffer with other margins, or with other numbers that are never written", () => {
    expect(chain(buffer(0, ""), buffer(0, ""), buffer(0, ""), buffer(-1, ""))).toEqual([0, 128, 256, 384]);
    expect(chain(buffer(0, ""), buffer(0, ""), buffer(0, ""), buffer(0, "odd"))).toEqual([0, 128, 256, 384]);
  });
});

describe("planOf", () => {
  it("copies an image once for all convolutions of one stride", () => {
    const sketch = new Sketch([2, 8, 8], new Dice(0));
    const main = sketch.conv(0, 4, [3, 3], { stride: [2, 2] });
    const shortcut = sketch.conv(0, 4, [1, 1], { stride: [2, 2], padding: [0, 0] });
    sketch.sum(main, shortcut);
    const { steps } = planOf(sketch.graph, sketch.tensors);
    // Four phases, read by two layers.
    expect(steps.map(({ kind }) => kind)).toEqual(["copy", "copy", "copy", "copy", "sum", "sum"]);
  });

  it("joins values by copying each to its channels", () => {
    const sketch = new Sketch([2, 4, 4], new Dice(0));
    const one = sketch.conv(0, 3, [1, 1]);
    sketch.add({ op: "concat", inputs: [0, one] });
    const { steps, result } = planOf(sketch.graph, sketch.tensors);
    const bases = steps.flatMap((step) => (step.kind === "copy" ? [step.to.base] : []));
    expect(bases).toEqual([result.base, result.base + 2 * result.plane]);
  });

  it("keeps a long chain in the memory of three images, beside its lists", () => {
    const sketch = new Sketch([8, 32, 32], new Dice(0));
    for (let value = 0; value < 20; value++) sketch.relu(sketch.affine(value * 2));
    const image = 4 * 8 * 32 * 32;
    expect(planOf(sketch.graph, sketch.tensors).bytes).toBeLessThan(3 * image);
  });
});

describe("tilesOf", () => {
  it.each([
    [32, 32, ["32×1×8"]],
    [16, 16, ["8×2×4"]],
    [4, 4, ["1×4×1"]],
    [7, 7, ["1×4×2", "1×3×2"]],
    [28, 28, ["28×1×7"]],
    [2, 56, ["2×1×7", "2×1×7"]],
    [5, 52, ["5×1×7", "5×1×6"]],
  ])("covers %s × %s with as few tiles as possible", (height, width, expected) => {
    expect(tilesOf(height, width).map(({ count, rows, vectors }) => `${count}×${rows}×${vectors}`)).toEqual(expected);
  });

  it("covers each pixel once", () => {
    for (let height = 1; height < 20; height++) {
      for (let width = 1; width < 80; width++) {
        const tiles = tilesOf(height, width);
        const pixels = tiles.map(
          ({ rows, count, vectors, lastLanes }) => rows * count * (4 * (vectors - 1) + lastLanes),
        );
        expect(pixels.reduce((sum, count) => sum + count)).toBe(height * width);
        expect(tiles.every(({ rows, vectors }) => rows * vectors <= 8)).toBe(true);
      }
    }
  });
});

describe("output channels", () => {
  const shared = (channels: number, options: { density?: number; groups?: number }) => {
    const sketch = new Sketch([4, 8, 8], new Dice(3));
    sketch.conv(0, channels, [3, 3], { density: 1, ...options });
    return planOf(sketch.graph, sketch.tensors).steps.map((step) => (step.kind === "sum" ? step.together : 0));
  };

  it("go through one list in pairs where most of their weights are there, and share what they read", () => {
    expect(shared(4, {})).toEqual([2]);
    expect(shared(4, { density: 0.6 })).toEqual([2]);
  });

  it("go through lists of their own where few weights are, where one is left over, and where they read other channels", () => {
    expect(shared(4, { density: 0.2 })).toEqual([1]);
    expect(shared(5, {})).toEqual([1]);
    expect(shared(4, { groups: 4 })).toEqual([1]);
    expect(shared(8, { groups: 4 })).toEqual([2]);
  });
});
