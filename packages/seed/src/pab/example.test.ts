import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { initialiseWeight } from "../init/weights.js";
import { decodePab, describePab } from "./decode.js";
import { type Description, formatDescription } from "./description.js";
import { encodePab } from "./encode.js";
import { measurePab } from "./measure.js";

const page = readFileSync(new URL("../../../../docs/pab-format.md", import.meta.url), "utf8");
const [, listing = ""] = /<!-- example -->\n```\n([\s\S]*?)```\n<!-- end -->/.exec(page) ?? [];
const hexadecimal = listing
  .split("\n")
  .map((line) => line.slice(0, 47))
  .join(" ")
  .trim()
  .split(/\s+/);

const KEPT = [1, 1, 1, 0, 0, 1, 1, 1];
const SIGNS = [1, -1, 1, 1, 1, -1, 1, -1];

const description: Description = {
  network: "tiny",
  mean: [0.5],
  std: [0.25],
  crop: 1,
  classes: ["a", "b"],
  seed: 1,
  init: "kaiming_normal",
  graph: {
    input: [1, 2, 2],
    nodes: [
      { op: "conv2d", inputs: [0], weight: "w", stride: [1, 1], padding: [0, 0], dilation: [1, 1], groups: 1 },
      { op: "affine", inputs: [1], scale: "s" },
    ],
  },
  tensors: [
    { name: "w", shape: [2, 1, 2, 2], stored: "signs", mask: "model", init: "kaiming_normal" },
    { name: "s", shape: [2], stored: "float16", mask: "all", init: "kaiming_normal" },
  ],
  test: null,
  provenance: {},
};

const data = initialiseWeight("kaiming_normal", 1, "w", [2, 1, 2, 2]).map(
  (value, i) => Math.abs(value) * (KEPT[i] ?? 0) * (SIGNS[i] ?? 0) + 0,
);
const tensors = new Map([
  ["w", { shape: [2, 1, 2, 2], data, mask: Uint8Array.from(KEPT) }],
  ["s", { shape: [2], data: Float32Array.of(1, 0.5), mask: null }],
]);

describe("docs/pab-format.md", () => {
  const bytes = Uint8Array.from(hexadecimal, (byte) => Number.parseInt(byte, 16));

  it("lists the bytes of its example as they are written", () => {
    expect(hexadecimal).toHaveLength(130);
    expect([...encodePab(description, tensors)]).toEqual([...bytes]);
  });

  it("tells what they stand for", () => {
    const { tensors: read, sizes } = decodePab(bytes);
    expect(read.get("w")?.data).toEqual(data);
    expect([...(read.get("w")?.mask ?? [])]).toEqual(KEPT);
    expect([...(read.get("s")?.data ?? [])]).toEqual([1, 0.5]);
    expect(sizes).toEqual({ container: 54, description: 60, masks: 11, signs: 1, numbers: 4 });
    const [, json = ""] = /The description is\n\n```json\n(.*)\n```/.exec(page) ?? [];
    expect(formatDescription(describePab(bytes))).toBe(json);
  });

  it("has the primer and the normal quantile's coefficients as the code has them", () => {
    const source = (path: string) => readFileSync(new URL(path, import.meta.url), "utf8");
    const [, primer = ""] = /PRIMER = `(.*)`/.exec(source("../coding/text-model.ts")) ?? [];
    expect(primer.length).toBeGreaterThan(1000);
    expect(page).toContain(`<!-- primer -->\n\`\`\`\n${primer}\n\`\`\`\n<!-- end -->`);
    const [, table = ""] = /The normal quantile's coefficients([\s\S]*)## The primer/.exec(page) ?? [];
    const told = table
      .split("\n")
      .flatMap((row) => (/^\| .* \| [AB] \| (.*) \|$/.exec(row)?.[1] ?? "").split(", ").filter(Boolean));
    const [, constants = ""] = /const CENTRE([\s\S]*)function horner/.exec(source("../random/distributions.ts")) ?? [];
    const used = [...constants.matchAll(/(?<=[\s[])-?\d[\d.e-]*(?=,)/g)].map(([number]) => number);
    expect(told).toHaveLength(48);
    expect(told).toEqual(used);
  });

  it("is measured as its parts are: 6 signs of about a bit, 2 numbers", () => {
    const { tensors: measured, denseBytes } = measurePab(bytes);
    const [w, s] = measured;
    expect([w?.kept, w?.total, s?.kept, denseBytes]).toEqual([6, 8, 2, 40]);
    expect(w?.signs).toBeGreaterThan(4);
    expect(w?.signs).toBeLessThan(8);
    expect([w?.numbers, s?.signs, s?.mask]).toEqual([0, 0, 0]);
    expect(s?.numbers).toBeGreaterThan(16);
  });
});

describe("writing a .pab file", () => {
  const refusal =
    (change: Partial<Description>, values = tensors) =>
    () =>
      encodePab({ ...description, ...change }, values);

  it("refuses weights that another seed gives, and masks that don't follow from theirs", () => {
    expect(refusal({ seed: 2 })).toThrow("the weights that seed 2 gives, but for their signs for w");
    const shuffled = description.tensors.map((tensor) =>
      tensor.name === "w" ? { ...tensor, mask: "shuffle" as const } : tensor,
    );
    expect(refusal({ tensors: shuffled })).toThrow("the mask that the seed gives for w");
  });

  it("refuses numbers that float16 doesn't hold, and stores them in float32", () => {
    const large = new Map([...tensors, ["s", { shape: [2], data: Float32Array.of(1e6, 0.1), mask: null }]]);
    expect(refusal({}, large)).toThrow("finite numbers, up to 65504 for s, received 1000000");
    const exact = description.tensors.map((tensor) =>
      tensor.name === "s" ? { ...tensor, stored: "float32" as const } : tensor,
    );
    const { tensors: read } = decodePab(encodePab({ ...description, tensors: exact }, large));
    expect([...(read.get("s")?.data ?? [])]).toEqual([1e6, Math.fround(0.1)]);
  });

  it("refuses what would be no network: tensors that are missing or of another shape, and NaN", () => {
    expect(refusal({}, new Map([...tensors].slice(0, 1)))).toThrow("a tensor of the network for s, received none");
    const nan = new Map([...tensors, ["s", { shape: [2], data: Float32Array.of(1, Number.NaN), mask: null }]]);
    expect(refusal({}, nan)).toThrow("received NaN");
    const wrong = new Map([...tensors, ["s", { shape: [1], data: Float32Array.of(1), mask: null }]]);
    expect(refusal({}, wrong)).toThrow("the shape [2] for s, received [1]");
  });
});
