import { describe, expect, it } from "vitest";
import { fillValues, fnv1a32 } from "./fill.js";

describe("fnv1a32", () => {
  it("gives the published values, over UTF-8 bytes", () => {
    expect(fnv1a32("")).toBe(0x811c9dc5);
    expect(fnv1a32("a")).toBe(0xe40c292c);
    expect(fnv1a32("foobar")).toBe(0xbf9cf968);
    expect(fnv1a32("é")).toBe(0x1e9de8c1);
  });
});

describe("fillValues", () => {
  // Computed with arbitrary-precision integers in another language.
  it.each([
    ["input", [3], [-1.384583830833435, 1.348947525024414, 0.04307602345943451]],
    ["bn1.running_var", [2], [1.0944187641143799, 1.4268521070480347]],
    ["bn1.running_mean", [2], [-0.1645166277885437, 0.06862898916006088]],
    ["conv1.t", [1, 2], [-0.002548291813582182, 0.08986835181713104]],
    ["conv1.lo", [], [Math.fround(-0.05)]],
    ["conv1.hi", [], [Math.fround(0.05)]],
    ["conv1.weight", [1, 1, 2, 1], [-0.7019089460372925 * Math.sqrt(3), -0.3756628930568695 * Math.sqrt(3)]],
    ["bn1.weight", [2], [1.0766379833221436, 0.7461230158805847]],
    ["bn1.bias", [2], [-0.13894113898277283, -0.019438361749053]],
  ])("gives %s of shape %j the range of its name", (name, shape, expected) => {
    const values = [...fillValues("s", name, shape)];
    expect(values).toHaveLength(expected.length);
    values.forEach((value, i) => {
      expect(value).toBeCloseTo(expected[i] ?? Number.NaN, 7);
    });
  });

  it("stays exact where the product of index and multiplier leaves 53 bits", () => {
    const values = fillValues("s", "conv1.weight", [1, 70001]);
    expect(values[70000]).toBe(Math.fround((2 * 0.8412472170311958 - 1) * Math.sqrt(6 / 70001)));
  });

  it("gives other values for another salt", () => {
    expect(fillValues("", "bn1.bias", [1])).not.toEqual(fillValues("s", "bn1.bias", [1]));
  });
});
