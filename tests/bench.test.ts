// The benchmarks: what they count and print, and that they run. No time is asserted here.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ops, scope } from "@peekaboo/torch";
import { describe, expect } from "vitest";
import { alternating, median, spreadOf } from "../bench/statistics.js";
import { convolutionFlops, floorSeconds, passBytes, stepFlops } from "../bench/suite/counts.js";
import { composedNetwork, stockNetwork } from "../bench/suite/layers.js";
import { cellText, digits, isMet, limitsTable, tableText } from "../bench/suite/print.js";
import { QUICK } from "../bench/suite/workloads.js";
import { measureNetwork } from "../packages/peekaboo/src/models/measure.js";
import { it } from "./support/folder.js";

const root = fileURLToPath(new URL("..", import.meta.url));

describe("statistics", () => {
  it("tells the least, the middle and the largest", () => {
    expect(spreadOf([3, 1, 2])).toEqual({ minimum: 1, median: 2, maximum: 3, repetitions: 3 });
    expect(median([])).toBeNaN();
  });

  it("has ways take turns, each first in turn, and leaves the first round out", async () => {
    const heard: string[] = [];
    const way = (name: string) => [name, () => heard.push(name)] as const;
    const times = await alternating(new Map([way("a"), way("b")]), 2);
    expect(heard.join("")).toBe("abbaab");
    expect([...times]).toEqual([
      ["a", [4, 5]],
      ["b", [3, 6]],
    ]);
  });
});

describe("counts", () => {
  it("of a convolution are two operations for each of a weight's uses", () => {
    expect(convolutionFlops([16, 3, 3, 3], [4, 16, 32, 32])).toBe(2 * 432 * 4 * 1024);
  });

  it("of a step are three products, but for the gradient of the images", () => {
    expect(stepFlops([{ macs: 10 }, { macs: 100 }], 2)).toBe(2 * 2 * (110 + 100 + 110));
  });

  it("of a real network are its layers'", () => {
    const { layers } = measureNetwork({ arch: "ResNet20", numClasses: 10 });
    // 40.8 million multiply-adds an image (He et al. 2016: 41 million), 442,368 of them the first layer's.
    expect(stepFlops(layers, 1)).toBe(2 * (3 * 40_813_184 - 442_368));
  });

  it("of bytes follow from how often an operator passes over its values", () => {
    expect(passBytes("aten::batch_norm", 10, "forward")).toBe(120);
    expect(passBytes("aten::relu_", 10, "backward")).toBe(120);
    expect(passBytes("aten::linear", 10, "forward")).toBe(80);
  });

  it("give the longer of both as the least time", () => {
    const rates = { flops: 100, bytes: 10 };
    expect(floorSeconds({ flops: 200, bytes: 10 }, rates)).toBe(2);
    expect(floorSeconds({ flops: 200, bytes: 50 }, rates)).toBe(5);
  });
});

describe("tables", () => {
  it("have three digits that count", () => {
    expect([0, 2, 1234.5, 99.96, 1.2345, 0.0123456, 1e-7, Number.NaN].map(digits)).toEqual(
      "0 2 1235 100.0 1.23 0.0123 1.0e-7 –".split(" "),
    );
  });

  it("show repetitions by their median, minimum and maximum", () => {
    expect(cellText(spreadOf([0.1, 0.2, 0.3]))).toBe("0.200 (0.100–0.300)");
    expect(cellText(spreadOf([0.25]))).toBe("0.250");
    expect(cellText(null)).toBe("");
  });

  it("are Markdown, texts to the left and numbers to the right", () => {
    const rows = [
      { name: "a", value: 1.5 },
      { name: "long", other: 10, value: 22 },
    ];
    expect(tableText({ title: "T", notes: ["N."], rows }).split("\n")).toEqual([
      ...["## T", "", "N.", ""],
      "| name | value | other |",
      "| ---- | ----: | ----: |",
      "| a    |  1.50 |       |",
      "| long |    22 |    10 |",
    ]);
  });

  it("tell whether each limit is met", () => {
    const most = { what: "a", value: 0.6, limit: 0.6, bound: "most" } as const;
    const least = { what: "b", value: 1, limit: 2, bound: "least" } as const;
    expect([most, least].map(isMet)).toEqual([true, false]);
    expect(limitsTable([most, least]).rows).toEqual([
      { what: "a", value: 0.6, limit: "≤ 0.6", met: "yes" },
      { what: "b", value: 1, limit: "≥ 2", met: "no" },
    ]);
  });
});

describe("the networks beside ours", () => {
  it("compute what ours compute from the same weights", () => {
    scope(() => {
      const input = ops.randn([2, 3, 32, 32]);
      const [stock, { network: composed, kept }] = [stockNetwork(QUICK), composedNetwork(QUICK)];
      expect(ops.allclose(stock.call(input), composed.call(input), 1e-4, 1e-5)).toBe(true);
      // One quantised input for each convolution.
      expect(kept).toHaveLength([...composed.prunable()].length);
      for (const tensor of kept) tensor.dispose();
      stock.dispose();
      composed.dispose();
    });
  });
});

it("a quick run gives its tables and limits as JSON", ({ folder }) => {
  const built = spawnSync(join(root, "node_modules/.bin/tsc"), ["-b", "bench"], { cwd: root, encoding: "utf8" });
  expect(built).toMatchObject({ status: 0, stdout: "" });
  const path = join(folder, "bench.json");
  const args = [join(root, "bench/dist/bench.js"), "--quick", "--only", "steps,parts,bop,data", "--json", path];
  const env = { ...process.env, OMP_NUM_THREADS: "1" };
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8", env });
  expect(status, stderr).toBe(0);
  const { quick, machine, tables, limits } = JSON.parse(readFileSync(path, "utf8"));
  expect({ quick, threads: machine.threads }).toEqual({ quick: true, threads: 1 });
  const titles = tables.map(({ title }: { title: string }) => title.replace(/[:,].*/, ""));
  expect(titles).toEqual(["A training step", "Parts of a step", "Bop", "Batches of 32² images"]);
  for (const title of titles) expect(stdout).toContain(`## ${title}`);
  const [{ rows }, parts] = tables;
  expect(rows.length).toBeGreaterThanOrEqual(3);
  for (const { seconds } of rows) expect(seconds).toMatchObject({ repetitions: 1, median: expect.any(Number) });
  expect(parts.rows.map(({ part }: { part: string }) => part).slice(0, 4)).toEqual([
    "forward",
    "input gradient",
    "quantisation of inputs",
    "weight gradient, quantisation of gradients",
  ]);
  expect(limits).toMatchObject([{ limit: 20_000, bound: "least", met: expect.any(Boolean) }]);
});
