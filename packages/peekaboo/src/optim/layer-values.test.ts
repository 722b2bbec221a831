import { UserError } from "@peekaboo/torch";
import { describe, expect, it } from "vitest";
import { matches, valuesByLayer } from "./layer-values.js";

const names = [
  "conv1.weight",
  "layer1.0.conv1.weight",
  "layer1.1.conv1.weight",
  "layer2.0.conv1.weight",
  "layer10.weight",
];

describe("a pattern", () => {
  it.each<[string, string, boolean]>([
    ["conv1.weight", "conv1.weight", true],
    ["conv1", "conv1.weight", false],
    ["conv1.weigh*", "conv1.weight", true],
    ["conv1xweight", "conv1.weight", false],
    ["*", "anything", true],
    ["layer1.*", "layer1.0.conv1.weight", true],
    ["layer1.*", "layer10.weight", false],
    ["*.weight", "conv1.weight", true],
    ["layer*.0.*weight", "layer2.0.conv1.weight", true],
    ["layer*.0.*weight", "layer1.1.conv1.weight", false],
    ["a*a", "a", false],
    ["a*a", "aa", true],
    ["*ab*b", "ab", false],
    ["*ab*b", "abb", true],
    ["**", "", true],
  ])("%s matches %s: %s", (pattern, name, expected) => {
    expect(matches(pattern, name)).toBe(expected);
  });

  it("of many stars doesn't take long", () => {
    const begun = performance.now();
    expect(matches(`${"a*".repeat(90)}b`, "a".repeat(200))).toBe(false);
    expect(performance.now() - begun).toBeLessThan(100);
  });
});

describe("valuesByLayer", () => {
  it("lets the last match decide", () => {
    const entries = [
      { pattern: "*", value: 1 },
      { pattern: "layer1.*", value: 2 },
      { pattern: "*.0.conv1.weight", value: 3 },
    ];
    expect(Object.fromEntries(valuesByLayer("--ar-layers", entries, names))).toEqual({
      "conv1.weight": 1,
      "layer1.0.conv1.weight": 3,
      "layer1.1.conv1.weight": 2,
      "layer2.0.conv1.weight": 3,
      "layer10.weight": 1,
    });
    expect(valuesByLayer("--ar-layers", [], names).size).toBe(0);
  });

  it("refuses a pattern that matches nothing, with the nearest name", () => {
    const refused = (pattern: string) => () => valuesByLayer("--tau-layers", [{ pattern, value: 1 }], names);
    expect(refused("layer1.1.conv2.weight")).toThrow(UserError);
    expect(refused("layer1.1.conv2.weight")).toThrow(
      'for --tau-layers, received "layer1.1.conv2.weight"; the nearest name is layer1.1.conv1.weight',
    );
    expect(refused("layer2.1*")).toThrow("the nearest name is layer2.0.conv1.weight");
    expect(refused("layer2.*.bias")).toThrow("the nearest name is layer2.0.conv1.weight");
    expect(refused("zzz")).toThrow("the nearest name is conv1.weight");
  });
});
