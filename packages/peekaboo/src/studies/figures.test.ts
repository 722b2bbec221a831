import { mkdirSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { overlaps, pixelsOf, textsOf } from "../report/drawn-texts.support.js";
import { figuresOf } from "./figures.js";
import type { Group } from "./results.js";
import type { RunFacts } from "./run-facts.js";

interface Sample {
  methods: readonly string[];
  densities: readonly number[];
  seeds: number;
  layers: number;
}

/** Groups with figures that look like a study's. */
function sample({ methods, densities, seeds, layers }: Sample): Group[] {
  return methods.flatMap((method, m) =>
    densities.map((density) => {
      const facts = Array.from({ length: seeds }, (_, seed): RunFacts => {
        const last = Math.min(95, Math.max(10, 92 - m * 6 + 11 * Math.log10(density) + seed * 1.5));
        const own = Array.from({ length: layers }, (_, i) => ({
          name: `layer${1 + Math.floor(i / 8)}.${i % 8}.shortcut.conv${i}.weight`,
          kept: i % 11 === m ? 0 : Math.round(1e4 * Math.min(1, density * (1 + (i + m) / layers))),
          total: 1e4,
        }));
        const flipsByStep = Array.from(
          { length: 500 },
          (_, i) => [i + 1, Math.round(5e4 * density * 0.98 ** i)] as const,
        );
        return {
          ...{ best: last + 1, last, kept: density * 1e6, total: 1e6, macs: density * 1e8, denseMacs: 1e8 },
          ...{
            pabBytes: m === 3 ? null : 2e4 + 1e5 * density,
            idealBytes: 4e6 * density,
            flips: 5,
            seconds: 9,
            steps: 500,
          },
          ...{ layers: own, flipsByStep: m === 3 ? [] : flipsByStep, environment: {} },
        };
      });
      return { method, density, runs: [], facts };
    }),
  );
}

const SAMPLES: Record<string, Sample> = {
  "one run": { methods: ["PsgResNet18"], densities: [0.3], seeds: 1, layers: 20 },
  "six pruners": {
    methods: ["SynFlow", "SNIP", "GraSP", "Mag", "Rand", "ERK"],
    densities: [0.01, 0.03, 0.1, 0.3],
    seeds: 3,
    layers: 20,
  },
  "many methods of a deep network": {
    methods: Array.from({ length: 19 }, (_, i) => `method ${i} whose name tells all of its settings`),
    densities: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5],
    seeds: 2,
    layers: 161,
  },
};

const sizeOf = (svg: string) => {
  const [, width = "", height = ""] = /width="(\d+)" height="(\d+)"/.exec(svg) ?? [];
  return { width: Number(width), height: Number(height) };
};

describe("figuresOf", () => {
  it.each(Object.keys(SAMPLES))("draws %s, cuts no text and lays none over another", async (name) => {
    const figures = figuresOf(sample(SAMPLES[name] ?? { methods: [], densities: [], seeds: 0, layers: 0 }));
    expect(figures.map((figure) => figure.name)).toEqual([
      "accuracy-density",
      "accuracy-size",
      "kept-per-layer",
      "flips",
    ]);
    for (const { svg } of figures) {
      expect(overlaps(textsOf(svg), sizeOf(svg))).toEqual([]);
      await expect(pixelsOf(svg)).resolves.toBeTypeOf("function");
    }
    const into = process.env.FIGURES;
    if (into === undefined) return;
    mkdirSync(into, { recursive: true });
    for (const figure of figures) writeFileSync(`${into}/${name.replaceAll(" ", "-")}-${figure.name}.svg`, figure.svg);
  });

  it("puts a point at the mean, and bars at a standard deviation, of the accuracy at the end", () => {
    const [group] = sample({ methods: ["a"], densities: [0.1], seeds: 1, layers: 1 });
    const facts = [40, 60].map((last) => ({ ...(group?.facts[0] as RunFacts), last }));
    const [figure] = figuresOf([{ method: "a", density: 0.1, runs: [], facts }]);
    const ticks = textsOf(figure?.svg ?? "").flatMap(({ text, top, bottom }): [number, number][] =>
      /^\d+$/.test(text) && (top + bottom) / 2 < 340 ? [[Number(text), (top + bottom) / 2]] : [],
    );
    const [[a = 0, ya = 0] = [], [b = 0, yb = 0] = []] = ticks;
    const heightOf = (value: number) => ya + ((value - a) * (yb - ya)) / (b - a);
    const circles = [...(figure?.svg ?? "").matchAll(/<circle cx="[\d.]+" cy="([\d.]+)"/g)].map(([, y]) => Number(y));
    expect(circles.at(-1)).toBeCloseTo(heightOf(50), 0);
    const bar =
      /<line x1="([\d.]+)" y1="([\d.]+)" x2="\1" y2="([\d.]+)" shape-rendering="crispEdges" stroke="#0072b2"/.exec(
        figure?.svg ?? "",
      );
    expect(Number(bar?.[2])).toBeCloseTo(heightOf(50 - Math.sqrt(200)), 0);
    expect(Number(bar?.[3])).toBeCloseTo(heightOf(50 + Math.sqrt(200)), 0);
  });

  it("leaves out what there is nothing of", () => {
    const dense = sample({ methods: ["x", "y", "z", "SGD"], densities: [1], seeds: 1, layers: 3 }).slice(3);
    const all = dense.map((group) => ({ ...group, facts: group.facts.map((one) => ({ ...one, kept: 1e6 })) }));
    expect(figuresOf(all).map(({ name }) => name)).toEqual(["accuracy-density", "accuracy-size"]);
    expect(figuresOf([])).toEqual([]);
  });
});
