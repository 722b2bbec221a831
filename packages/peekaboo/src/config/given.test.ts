import { describe, expect, it } from "vitest";
import { asText, flagsFrom, givenAsJson, givenFromJson, namedOptions, takesValue } from "./given.js";
import { trainOptions } from "./options.js";

describe("givenFromJson", () => {
  it("takes settings by path and nested, and of null for pruning makes no pruner", () => {
    const given = givenFromJson({
      "pruning.density": 0.1,
      pruning: { pruner: "SNIP" },
      psg: { threshold: { value: 1 } },
    });
    expect(givenAsJson(given)).toEqual({
      "psg.threshold.value": 1,
      "pruning.pruner": "SNIP",
      "pruning.density": 0.1,
    });
    expect(givenAsJson(givenFromJson({ pruning: null }))).toEqual({ "pruning.pruner": null });
  });

  it("takes a flag's text for what is an object or a list in JSON", () => {
    const texts = {
      "pruning.minKept": 0.01,
      "bop.arLayers": "layer1.*=1e-4",
      "sgd.milestones": "80,120",
      checkpointEvery: "5m",
    };
    expect(givenAsJson(givenFromJson(texts))).toEqual({
      "pruning.minKept": { fraction: 0.01 },
      "bop.arLayers": [{ pattern: "layer1.*", value: 1e-4 }],
      "sgd.milestones": [80, 120],
      checkpointEvery: { seconds: 300 },
    });
    for (const { path, option } of namedOptions) {
      const isScalar = (value: unknown) => typeof value !== "object" || value === null;
      if (option.default === null || option.kind.structured || !takesValue(option)) continue;
      expect([path, isScalar(option.default)]).toEqual([path, true]);
    }
  });

  it.each([
    [{ "pruning.minKept": "1.5%%" }, "for pruning.minKept, received "],
    [{ epochs: "5" }, "for epochs, received "],
    [{ "pruning.densty": 0.1 }, "an unknown one; did you mean pruning.density?"],
    [{ "pruning.density": 2 }, "a number above 0 and at most 1 for pruning.density, received 2"],
    [{ bop: { ar: [1] } }, "for bop.ar, received [1]"],
  ])("refuses %j", (json, words) => {
    expect(() => givenFromJson(json)).toThrow(words);
  });
});

describe("asText", () => {
  const values: Record<string, unknown[]> = {
    "sgd.milestones": [[80, 120], [5]],
    "bop.arLayers": [
      [
        { pattern: "layer1.*", value: 1e-4 },
        { pattern: "conv1.weight", value: 0.5 },
      ],
    ],
    "pruning.minKept": [{ fraction: 0.01 }, { fraction: 1 }, { fraction: 1e-9 }, { weights: 1 }, { weights: 25 }],
    checkpointEvery: [{ steps: 5 }, { seconds: 300 }, null],
    "bop.tau": [1e-7, 0, 123456789.125, 1e21],
  };

  it("writes what the flag reads as the same value", () => {
    for (const { path, option } of namedOptions) {
      if (!takesValue(option)) continue;
      const absent = option.default === null || JSON.stringify(option.default) === "[]";
      for (const value of [...(absent ? [] : [option.default]), ...(values[path] ?? [])])
        expect([path, option.kind.fromText(asText(value))]).toEqual([path, value]);
    }
  });
});

describe("flagsFrom", () => {
  it("writes a flag without a value where it is on, and nothing for what is off or absent", () => {
    const { maskShuffle, pruner, density } = trainOptions.pruning;
    const { takeSign, backward } = trainOptions.psg;
    const given = new Map<(typeof namedOptions)[number]["option"], unknown>([
      [maskShuffle, true],
      [takeSign, false],
      [backward, true],
      [pruner, null],
      [density, 0.3],
    ]);
    expect(flagsFrom(given)).toEqual(["--psg-no-take-sign", "--prune-ratio", "0.3", "--mask-shuffle"]);
  });
});
