import fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { UserError } from "@peekaboo/files/errors";
import { describe, expect, it } from "vitest";
import type { LayerKept, Metrics } from "../runs/metrics.js";
import { overlaps, pixelsOf, textsOf } from "./drawn-texts.support.js";
import { drawRun, writeRunPicture } from "./picture.js";

const SIZE = { width: 1200, height: 900 };

describe("drawRun", () => {
  it("says in words what the run reached", () => {
    const svg = drawRun({ metrics: sampleRun({ layers: 21, steps: 400 }), title: "PsgResNet20 on CIFAR-10" });
    const texts = textsOf(svg).map(({ text }) => text);
    expect(texts).toContain("PsgResNet20 on CIFAR-10");
    expect(texts).toContain(
      "30.0 % kept (6,300 of 21,000 weights) · best test accuracy 88.25 %, after step 300 · 400 steps",
    );
    expect(texts).toEqual(expect.arrayContaining(["Loss", "Accuracy (%)", "Sign flips", "Kept per layer (%)"]));
    expect(texts).toContain("test, best 88.25");
    expect(texts).toContain("overall 30.0");
  });

  it("shows the given subtitle instead of its own", () => {
    const texts = textsOf(drawRun({ metrics: [], title: "A", subtitle: "B" })).map(({ text }) => text);
    expect(texts.slice(0, 2)).toEqual(["A", "B"]);
  });

  it.each([1, 9, 21, 54, 56, 57, 111, 155, 224])("names each of %d layers, uncut", (layers) => {
    const names = layersOf(layers).map(({ name }) => name.replace(".weight", ""));
    const texts = textsOf(drawRun({ metrics: sampleRun({ layers, steps: 40 }), title: "PsgResNet" }));
    expect(texts.map(({ text }) => text)).toEqual(expect.arrayContaining(names));
  });

  it.each([
    ["21 layers", { layers: 21, steps: 3000 }],
    ["54 layers", { layers: 54, steps: 70_380, prunedAgainAt: [20_000] }],
    ["111 layers", { layers: 111, steps: 100_000 }],
    ["155 layers", { layers: 155, steps: 70_380, prunedAgainAt: [20_000] }],
    ["more layers than fit", { layers: 300, steps: 100_000, prunedAgainAt: [20_000, 40_000] }],
    ["one step", { layers: 21, steps: 1 }],
    ["only a pruning", { layers: 21, steps: 0 }],
    ["SGD without pruning", { layers: 0, steps: 5000, signs: false }],
    ["nothing", { layers: 0, steps: 0 }],
  ])("cuts no text and lays none over another: %s", (_, options) => {
    const svg = drawRun({ metrics: sampleRun(options), title: "PsgResNet18 on CIFAR-10" });
    expect(overlaps(textsOf(svg), SIZE)).toEqual([]);
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
  });

  it("makes a long title smaller, and cuts only what then still does not fit", () => {
    const headings = [60, 80, 300].map((length) => textsOf(drawRun({ metrics: [], title: "n".repeat(length) }))[0]);
    for (const heading of headings) expect(heading?.right).toBeLessThanOrEqual(1200 - 32);
    expect(headings.map((heading) => heading?.text.includes("…"))).toEqual([false, false, true]);
  });

  it("stays below 300 kB however long the run and deep the network", () => {
    const metrics = sampleRun({ layers: 224, steps: 100_000, evaluateEvery: 250 });
    expect(drawRun({ metrics, title: "long" }).length).toBeLessThan(300_000);
  });

  it("draws the same bytes each time", () => {
    const metrics = sampleRun({ layers: 9, steps: 500 });
    expect(drawRun({ metrics, title: "again" })).toBe(drawRun({ metrics, title: "again" }));
  });

  it("leaves out flips where no signs are learned, and layers where nothing was pruned", () => {
    const texts = textsOf(drawRun({ metrics: sampleRun({ layers: 0, steps: 50, signs: false }), title: "dense" }));
    expect(texts.map(({ text }) => text)).toEqual(expect.not.arrayContaining(["Sign flips"]));
    expect(texts.map(({ text }) => text)).toEqual(expect.not.arrayContaining(["Kept per layer (%)"]));
  });

  it("shows flips that are all zero where signs are learned", () => {
    const metrics = sampleRun({ layers: 0, steps: 50 }).map((line) =>
      line.kind === "step" ? { ...line, flips: 0 } : line,
    );
    const texts = textsOf(drawRun({ metrics, title: "still" })).map(({ text }) => text);
    expect(texts).toContain("Sign flips");
  });

  it("is named and described for those who can't see it", () => {
    const svg = drawRun({ metrics: [], title: "A & B", subtitle: "<C>" });
    expect(svg).toContain('role="img"');
    expect(svg).toContain("<title>A &amp; B</title><desc>&lt;C&gt;</desc>");
  });

  it("draws curves, dots, bars and marks where their values are", async () => {
    const steps = [0, 100, 0, 100].map((accuracy, index) => ({ ...SGD_STEP, step: index + 1, accuracy }));
    const tested: Metrics = { kind: "eval", epoch: 0, step: 2, loss: 1, accuracy: 50, best: true };
    const layers = [
      { name: "a", kept: 4, total: 4 },
      { name: "b", kept: 0, total: 4 },
    ];
    const pruning: Metrics = { ...PRUNING, kept: 4, total: 8, layers };
    const at = await pixelsOf(
      drawRun({ metrics: [pruning, ...steps.slice(0, 3), tested, ...steps.slice(3)], title: "" }),
    );
    // The lower plot goes from step 0 to 4, and from 0 to 100 %.
    const inPlot = (step: number, accuracy: number) => at(78 + 146.5 * step, 834 - 3.13 * accuracy);
    const curve = [inPlot(1, 0), inPlot(1.5, 50), inPlot(2, 100), inPlot(3, 0), inPlot(4, 100)];
    expect(curve).toEqual(Array(5).fill("#0072b2"));
    expect(inPlot(2, 50)).toBe("#d55e00");
    expect(inPlot(1, 50)).toBe("#ffffff");
    expect([at(800, 143), at(1100, 143)]).toEqual(["#56b4e9", "#56b4e9"]);
    expect([at(800, 181), at(1100, 181)]).toEqual(["#f3f4f6", "#f3f4f6"]);
    expect(at(20, 20)).toBe("#ffffff");
  });

  it("breaks the curves where a step was skipped", () => {
    const skip: Metrics = { kind: "skip", epoch: 0, step: 3, what: "loss", where: "the loss" };
    const steps = [1, 2, 4, 5].map((step) => ({ ...SGD_STEP, step }));
    const svg = drawRun({ metrics: [...steps.slice(0, 2), skip, ...steps.slice(2)], title: "" });
    const paths = Array.from(svg.matchAll(/ d="([^"]+)"/g), ([, path]) => path?.replace(/[\d. ]+/g, ""));
    expect(paths).toEqual(["MLML", "MLML"]);
  });

  it("marks a layer with nothing left", () => {
    const metrics = sampleRun({ layers: 3, steps: 0 });
    const prune = metrics.find((line) => line.kind === "prune");
    const layers = prune?.layers.map((layer, index) => (index === 1 ? { ...layer, kept: 0 } : layer)) ?? [];
    const svg = drawRun({
      metrics: metrics.map((line) => (line.kind === "prune" ? { ...line, layers } : line)),
      title: "",
    });
    const warned = textsOf(svg).filter(({ fill }) => fill === "#c43b00");
    expect(warned.map(({ text }) => text)).toEqual(["layer1.0.conv1", "0"]);
  });

  it("escapes what would break the file: markup, control characters, halves of characters", async () => {
    const name = '<script>&"\u0000\u001b\ud800';
    const layers = [{ name, kept: 1, total: 2 }];
    const pruning: Metrics = { ...PRUNING, kept: 1, total: 2, layers };
    const svg = drawRun({ metrics: [pruning], title: "]]><b>&\ufffe" });
    for (const broken of ["<script", "<b>", "\0", "\u001b", "\ufffe"]) expect(svg).not.toContain(broken);
    expect(svg).not.toMatch(/\p{Cs}/u);
    expect(textsOf(svg).map(({ text }) => text)).toContain('<script>&"\ufffd\ufffd\ufffd');
    await expect(pixelsOf(svg)).resolves.toBeTypeOf("function");
  });

  it("draws values at the limits of what metrics may hold", () => {
    const extremes: Metrics[] = [1e308, -1e308, 1e-308].map((loss, index) => ({
      ...STEP,
      step: [1, 7, Number.MAX_SAFE_INTEGER][index] ?? 0,
      loss,
      flips: [0, 1, Number.MAX_SAFE_INTEGER][index] ?? 0,
    }));
    const empty: Metrics = { ...PRUNING, kept: 0, total: 0, layers: [{ name: "", kept: 0, total: 0 }] };
    const svg = drawRun({ metrics: [empty, ...extremes], title: "" });
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
    expect(overlaps(textsOf(svg), SIZE)).toEqual([]);
  });
});

describe("writeRunPicture", () => {
  it("draws the folder's metrics into run.svg and returns its path", () => {
    const folder = fs.mkdtempSync(join(tmpdir(), "picture-"));
    const metrics = sampleRun({ layers: 2, steps: 3 });
    fs.writeFileSync(join(folder, "metrics.jsonl"), metrics.map((line) => `${JSON.stringify(line)}\n`).join(""));
    const path = writeRunPicture(folder, { title: "run" });
    expect(path).toBe(join(folder, "run.svg"));
    expect(fs.readFileSync(path, "utf8")).toBe(drawRun({ metrics, title: "run" }));
    fs.rmSync(folder, { recursive: true });
  });

  it("reports a folder without metrics as the user's mistake", () => {
    expect(() => writeRunPicture(join(tmpdir(), "no-such-run"), { title: "run" })).toThrow(UserError);
  });
});

const PRUNING = { kind: "prune", epoch: 0, shot: 0, pruner: "SynFlow", density: 0.3, seconds: 8 } as const;
const SGD_STEP = {
  kind: "step",
  epoch: 0,
  step: 1,
  loss: 2.3,
  accuracy: 10,
  flips: 0,
  imagesPerSecond: 500,
  lr: 0.1,
} as const;
const STEP = { ...SGD_STEP, flips: 9, ar: 1e-3 };

interface SampleOptions {
  layers: number;
  steps: number;
  evaluateEvery?: number;
  /** Whether Bop learns signs. */
  signs?: boolean;
  prunedAgainAt?: number[];
}

/** A run as they go: a falling loss, ever fewer flips, and test accuracies that peak at three quarters with 88.25 %. */
function sampleRun({
  layers,
  steps,
  evaluateEvery = Math.ceil(steps / 8),
  signs = true,
  prunedAgainAt = [],
}: SampleOptions) {
  const random = seeded(7);
  const pruning: Metrics = { ...PRUNING, kept: 300 * layers, total: 1000 * layers, layers: layersOf(layers) };
  const metrics: Metrics[] = layers === 0 ? [] : [pruning];
  for (let step = 1; step <= steps; step++) {
    const done = step / steps;
    const loss = 2.3 * Math.exp(-3 * done) + 0.3 * random();
    const accuracy = 80 * done + 20 * random();
    const flips = Math.floor(40_000 * Math.exp(-9 * done) * random());
    metrics.push(signs ? { ...STEP, step, loss, accuracy, flips } : { ...SGD_STEP, step, loss, accuracy });
    if (prunedAgainAt.includes(step)) metrics.push({ ...pruning, shot: 1 });
    if (step % evaluateEvery === 0 || step === steps) {
      const tested = 88.25 - 50 * Math.abs(done - 0.75);
      metrics.push({
        kind: "eval",
        epoch: 0,
        step,
        loss: 2.4 * Math.exp(-2 * done),
        accuracy: tested,
        best: done <= 0.75,
      });
    }
  }
  return metrics;
}

/** Layers of 1,000 weights that keep 10, 30, 50, 10, 30, 50 … percent. */
function layersOf(count: number): LayerKept[] {
  const nameOf = (index: number) =>
    `layer${1 + Math.floor(index / 60)}.${(index - 1) >> 1}.conv${2 - (index % 2)}.weight`;
  return Array.from({ length: count }, (_, index) => ({
    name: index === 0 ? "conv1.weight" : nameOf(index),
    kept: 100 + 200 * (index % 3),
    total: 1000,
  }));
}

/** Park and Miller's generator: uniform in (0, 1). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}
