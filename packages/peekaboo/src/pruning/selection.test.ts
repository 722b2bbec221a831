import { spawnSync } from "node:child_process";
import { scope, Tensor, UserError } from "@peekaboo/torch";
import { describe, expect, it } from "vitest";
import { pabOps } from "../native/library.js";
import { keptOf, selectMasks } from "./selection.js";

const double = (values: number[]) => Tensor.from(Float64Array.from(values));

function masksOf(scores: Record<string, number[]>, density: number, how: "global" | "local") {
  return scope(() => {
    const tensors = new Map(Object.entries(scores).map(([name, values]) => [name, double(values)]));
    const { masks, groups } = selectMasks(tensors, density, how);
    return { masks: Object.fromEntries([...masks].map(([name, mask]) => [name, mask.toArray()])), groups };
  });
}

describe("selecting masks", () => {
  it("keeps what is above the k-th smallest score of all tensors together", () => {
    const { masks, groups } = masksOf({ a: [5, 1, 4], b: [2, 6, 3, 0] }, 0.5, "global");
    // k = floor(0.5·7) = 3: the third smallest of 0 1 2 3 4 5 6 is 2.
    expect(masks).toEqual({ a: [1, 0, 1], b: [0, 1, 1, 0] });
    expect(groups).toEqual([{ expected: 4, kept: 4, ties: 1 }]);
  });

  it("keeps the same fraction of every tensor with local scope", () => {
    const { masks } = masksOf({ a: [1, 2, 3, 4], b: [40, 30, 20, 10] }, 0.5, "local");
    expect(masks).toEqual({ a: [0, 0, 1, 1], b: [1, 1, 0, 0] });
  });

  it("keeps with erk scope what each tensor's shape gives it, and all of one that would need more", () => {
    // Sums of dimensions 4 and 8 of 4 and 16 weights: of 6, a third and two thirds; of 15, all four and eleven.
    const masks = (density: number) =>
      scope(() => {
        const values = Array.from({ length: 16 }, (_, i) => i / 100);
        const scores = new Map([
          ["a", double([7, 9, 6, 8]).view(2, 2)],
          ["b", double(values).view(4, 4)],
        ]);
        const selected = selectMasks(scores, density, "erk").masks;
        return Object.fromEntries([...selected].map(([name, mask]) => [name, mask.view(-1).toArray()]));
      });
    const ones = (kept: number) => Array.from({ length: 16 }, (_, i) => (i < 16 - kept ? 0 : 1));
    expect(masks(0.3)).toEqual({ a: [0, 1, 0, 1], b: ones(4) });
    expect(masks(0.75)).toEqual({ a: [1, 1, 1, 1], b: ones(11) });
    expect(masks(1)).toEqual({});
  });

  it("drops every score that equals the threshold", () => {
    const { masks, groups } = masksOf({ a: [1, 1, 1, 2] }, 0.75, "global");
    expect(masks).toEqual({ a: [0, 0, 0, 1] });
    expect(groups).toEqual([{ expected: 3, kept: 1, ties: 3 }]);
  });

  it("leaves the masks alone where k is below 1", () => {
    expect(masksOf({ a: [3, 1, 2] }, 0.9, "global").masks).toEqual({});
  });

  it("orders negative scores and zeros as numbers", () => {
    expect(masksOf({ a: [0, 0.5, -2, -1, 1, -3] }, 0.5, "global").masks).toEqual({
      a: [1, 1, 0, 0, 1, 0],
    });
  });

  it("refuses scores that are not numbers", () => {
    expect(() => masksOf({ a: [1, Number.NaN, 2] }, 0.5, "global")).toThrow(UserError);
    expect(() => masksOf({ a: [1, Number.NaN, 2] }, 0.5, "global")).toThrow("received NaN");
  });

  it("agrees with sorting on many values over several tensors, float32 ones too", () => {
    let state = 12345;
    const draw = () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return (state / 2 ** 32 - 0.5) * 10 ** ((state % 9) - 4);
    };
    const values = Array.from({ length: 200_000 }, draw);
    const sorted = Float64Array.from(values).sort();
    const threshold = sorted[Math.floor(0.7 * values.length) - 1] ?? Number.NaN;
    scope(() => {
      const scores = new Map([
        ["a", double(values.slice(0, 70_000)).view(700, 100)],
        ["b", double(values.slice(70_000))],
      ]);
      const { masks } = selectMasks(scores, 0.3, "global");
      const kept = ["a", "b"].flatMap((name) => Array.from(masks.get(name)?.toFloat32Array() ?? []));
      expect(kept).toEqual(values.map((value) => (value > threshold ? 1 : 0)));
      const single = new Map([["a", Tensor.from(Float32Array.of(4, 3, 2, 1))]]);
      expect(selectMasks(single, 0.5, "global").masks.get("a")?.toArray()).toEqual([1, 1, 0, 0]);
    });
  });

  it.each([
    ["spread out", (u: number) => u],
    ["mostly zero", (u: number) => Math.max(0, u - 0.7)],
    ["all equal but few", (u: number) => (u < 1e-5 ? -1 : 3)],
    ["negative and steep", (u: number) => -((u + 1e-3) ** -6)],
  ])("agrees with sorting on millions of values that are %s", (_, shape) => {
    let state = 7;
    const values = Float64Array.from({ length: 1_100_000 }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return shape(state / 2 ** 32);
    });
    const sorted = values.slice().sort();
    scope(() => {
      const parts = [values.slice(0, 10), values.slice(10, 900_000), values.slice(900_000)];
      const tensors = parts.map((part) => Tensor.from(part));
      for (const k of [1, 2, 330_000, 769_999, 770_000, 1_000_000, 1_100_000]) {
        expect(pabOps().kthSmallest(tensors, k)).toBe(sorted[k - 1]);
      }
      const factors = Float64Array.from(values, (_, i) => ((i * 7919) % 13) - 6);
      const saliencies = values.map((value, i) => Math.abs(value * (factors[i] ?? 0))).sort();
      const others = [factors.slice(0, 10), factors.slice(10, 900_000), factors.slice(900_000)];
      const weights = others.map((part) => Tensor.from(part));
      for (const k of [1, 100_000, 769_999, 1_099_999]) {
        expect(pabOps().kthSaliency(tensors, weights, k)).toBe(saliencies[k - 1]);
      }
      expect(pabOps().kthSaliency(tensors.slice(0, 1), weights.slice(0, 1), 3)).toBe(
        values
          .slice(0, 10)
          .map((value, i) => Math.abs(value * (factors[i] ?? 0)))
          .sort()[2],
      );
      expect(() => pabOps().kthSaliency(tensors, weights.slice(1), 1)).toThrow("as many weights");
      values[555_555] = Number.NaN;
      expect(pabOps().kthSmallest([Tensor.from(values)], 500_000)).toBeNaN();
    });
  });

  it("finds the same on a processor with AVX-512 and on one without", () => {
    const script = `
      import { manualSeed, ops } from ${JSON.stringify(import.meta.resolve("@peekaboo/torch"))};
      import { pabOps } from ${JSON.stringify(new URL("../../dist/native/library.js", import.meta.url).href)};
      manualSeed(1);
      const [a, b] = [1_500_001, 1_500_001].map((count) => ops.randn([count], { dtype: "float64" }));
      const ks = [1, 2, 100_000, 749_999, 1_400_000, 1_500_001];
      console.log(JSON.stringify(ks.map((k) => [pabOps().kthSmallest([a], k), pabOps().kthSaliency([a], [b], k)])));
      const sorted = a.toTypedArray().toSorted();
      console.log(JSON.stringify(ks.map((k) => sorted[k - 1])));`;
    const run = (capability?: string) => {
      const env = { ...process.env, ...(capability === undefined ? {} : { ATEN_CPU_CAPABILITY: capability }) };
      const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
        env,
        encoding: "utf8",
      });
      expect(stderr).toBe("");
      return stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line));
    };
    const [found, sorted] = run();
    expect(found.map(([smallest]: number[]) => smallest)).toEqual(sorted);
    expect(run("default")).toEqual([found, sorted]);
  });
});

/** The masks that keep at least so many of each tensor; `before` has what was kept so far. */
function flooredMasks(
  scores: Record<string, number[]>,
  density: number,
  how: "global" | "local",
  least: (size: number) => number,
  before: Record<string, number[]> = {},
) {
  return scope(() => {
    const tensors = new Map(Object.entries(scores).map(([name, values]) => [name, double(values)]));
    const kept = (name: string) => double(before[name] ?? (scores[name] ?? []).map(() => 1));
    const { masks, groups } = selectMasks(tensors, density, how, { least, kept });
    return { masks: Object.fromEntries([...masks].map(([name, mask]) => [name, mask.toArray()])), groups };
  });
}

describe("selecting masks with a floor", () => {
  it("keeps a tensor's best scores where it would keep fewer, and takes as many of the others' smallest", () => {
    const scores = { a: [1, 3, 2], b: [10, 40, 30, 20], c: [50, 60, 70, 80] };
    // Without: the six best of all are 80 70 60 50 40 30; a has none.
    expect(masksOf(scores, 0.5, "global").masks).toEqual({ a: [0, 0, 0], b: [0, 1, 1, 0], c: [1, 1, 1, 1] });
    const { masks, groups } = flooredMasks(scores, 0.5, "global", () => 2);
    // b gives until it is at its own two; then c gives.
    expect(masks).toEqual({ a: [0, 1, 1], b: [0, 1, 1, 0], c: [0, 0, 1, 1] });
    expect(groups.reduce((sum, { kept }) => sum + kept, 0)).toBe(6);
  });

  it("is as without where no tensor falls below", () => {
    const scores = { a: [5, 1, 4], b: [2, 6, 3, 0] };
    expect(flooredMasks(scores, 0.5, "global", () => 2)).toEqual(masksOf(scores, 0.5, "global"));
    expect(flooredMasks(scores, 0.5, "local", () => 1)).toEqual(masksOf(scores, 0.5, "local"));
  });

  it("with local scope lets the larger tensors give", () => {
    const scores = { a: [1, 2, 3, 4], b: [8, 7, 6, 5, 4, 3, 2, 1, 0, -1, -2, -3] };
    expect(masksOf(scores, 0.25, "local").masks).toEqual({ a: [0, 0, 0, 1], b: [1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0] });
    expect(flooredMasks(scores, 0.25, "local", () => 2).masks).toEqual({
      a: [0, 0, 1, 1],
      b: [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    });
  });

  it("of equal scores keeps those that were kept before, then the first", () => {
    const scores = { a: [0, 0, 0, 0], b: [1, 2, 3, 4] };
    expect(flooredMasks(scores, 0.5, "global", () => 2).masks.a).toEqual([1, 1, 0, 0]);
    expect(flooredMasks(scores, 0.5, "global", () => 2, { a: [0, 0.5, 0, -3] }).masks.a).toEqual([0, 1, 0, 1]);
    expect(flooredMasks(scores, 0.5, "global", () => 2, { a: [0, 0, 0, 1] }).masks.a).toEqual([1, 0, 0, 1]);
  });

  it.each(["global", "local"] as const)("holds every minimum and the whole's number on random scores, %s", (how) => {
    let state = 99;
    const draw = () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state / 2 ** 32;
    };
    for (let trial = 0; trial < 40; trial++) {
      const sizes = Array.from({ length: 6 }, () => 1 + Math.floor(draw() * 400));
      const scores = Object.fromEntries(
        sizes.map((size, i) => [`t${i}`, Array.from({ length: size }, () => draw() * 10 ** (-3 * draw() * i))]),
      );
      const density = 0.02 + 0.4 * draw();
      const fraction = 0.5 * density;
      const least = (size: number) => Math.ceil(fraction * size);
      const total = sizes.reduce((sum, size) => sum + size, 0);
      const budget =
        how === "global"
          ? keptOf(density, total)
          : sizes.map((size) => keptOf(density, size)).reduce((sum, kept) => sum + kept, 0);
      if (sizes.map(least).reduce((sum, kept) => sum + kept, 0) > budget) continue;
      const { masks } = flooredMasks(scores, density, how, least);
      let all = 0;
      for (const [name, values] of Object.entries(scores)) {
        const mask = (masks[name] ?? values.map(() => 1)) as number[];
        const kept = mask.reduce((sum, bit) => sum + bit, 0);
        expect(kept).toBeGreaterThanOrEqual(least(values.length));
        const best = [...values].sort((a, b) => b - a).slice(0, kept);
        expect(values.filter((_, i) => mask[i] === 1).sort((a, b) => b - a)).toEqual(best);
        all += kept;
      }
      expect(all).toBe(budget);
    }
  });
});
