import { readFileSync } from "node:fs";
import { UserError } from "@peekaboo/files/errors";
import { describe, expect, it } from "vitest";
import { fnv1a64 } from "../random/hash.js";
import { fanOf, INIT_METHODS, type InitMethod, initialiseUniformBias, initialiseWeight } from "./weights.js";

interface Vectors {
  weights: {
    method: InitMethod;
    seed: number;
    name: string;
    shape: number[];
    first: string[];
    largeShape: number[];
    largeChecksum: string;
  }[];
  bias: { seed: number; name: string; fanIn: number; n: number; values: string[] };
}

const vectors: Vectors = JSON.parse(readFileSync(new URL("./vectors.json", import.meta.url), "utf8"));

const hexadecimal = (word: number) => word.toString(16).padStart(8, "0");
const patterns = (values: Float32Array) => Array.from(new Uint32Array(values.buffer), hexadecimal);

function checksum(values: Float32Array): string {
  const [low, high] = fnv1a64(new Uint8Array(values.buffer));
  return hexadecimal(high) + hexadecimal(low);
}

describe("the committed vectors", () => {
  it("cover every method", () => {
    expect(vectors.weights.map(({ method }) => method)).toEqual([...INIT_METHODS]);
  });

  it.each(vectors.weights)("fix every bit of $method", ({ method, seed, name, shape, first, largeShape, ...large }) => {
    expect(patterns(initialiseWeight(method, seed, name, shape)).slice(0, first.length)).toEqual(first);
    expect(checksum(initialiseWeight(method, seed, name, largeShape))).toBe(large.largeChecksum);
  });

  it("fix every bit of a bias", () => {
    const { seed, name, fanIn, n, values } = vectors.bias;
    expect(patterns(initialiseUniformBias(seed, name, fanIn, n))).toEqual(values);
  });
});

describe("initialiseWeight", () => {
  const shape = [32, 64, 3, 3]; // fan_in 576, fan_out 288
  const weights = (method: InitMethod) => initialiseWeight(method, 0, "w", shape);

  // With n = 18,432 draws, five standard errors of the mean square are 5·√((kurtosis - 1)/n) of it.
  it.each<[InitMethod, number, number]>([
    ["kaiming_normal", 2 / 576, 3],
    ["kaiming_uniform", 2 / 576, 9 / 5],
    ["kaiming_laplace", 2 / 576, 6],
    ["xavier_normal", 2 / (576 + 288), 3],
    ["standard", 1 / (3 * 576), 9 / 5],
  ])("%s has variance %s", (method, variance, kurtosis) => {
    const values = weights(method);
    const square = values.reduce((sum, w) => sum + w * w, 0) / values.length;
    expect(Math.abs(square / variance - 1)).toBeLessThan(5 * Math.sqrt((kurtosis - 1) / values.length));
  });

  it.each<[InitMethod, number]>([
    ["kaiming_uniform", Math.sqrt(6 / 576)],
    ["standard", 1 / 24],
  ])("%s reaches up to its bound %s and no further", (method, bound) => {
    const largest = weights(method).reduce((most, w) => Math.max(most, Math.abs(w)), 0);
    expect(largest).toBeLessThanOrEqual(Math.fround(bound));
    expect(largest).toBeGreaterThan(0.999 * bound);
  });

  it.each<[InitMethod, number[]]>([
    ["kaiming_constant_signed", [-Math.SQRT2 / 24, Math.SQRT2 / 24]],
    ["kaiming_constant_unsigned", [Math.SQRT2 / 24]],
    ["xavier_constant", [-Math.sqrt(2 / 864), Math.sqrt(2 / 864)]],
  ])("%s takes only the values %j", (method, values) => {
    expect([...new Set(weights(method))].sort((a, b) => a - b)).toEqual(values.map(Math.fround));
  });

  it("gives all methods with random signs the same signs, and never a zero", () => {
    const signs = Array.from(weights("kaiming_constant_signed"), Math.sign);
    expect(new Set(signs)).toEqual(new Set([-1, 1]));
    for (const method of INIT_METHODS.filter((name) => name !== "kaiming_constant_unsigned")) {
      expect(Array.from(weights(method), Math.sign)).toEqual(signs);
    }
  });

  it("depends on seed and name, and not on the tensor's size", () => {
    const first = (seed: number, name: string, out: number) =>
      initialiseWeight("kaiming_uniform", seed, name, [out, 16]).slice(0, 16);
    expect(first(0, "a", 9)).toEqual(first(0, "a", 1));
    expect(first(1, "a", 1)).not.toEqual(first(0, "a", 1));
    expect(first(0, "b", 1)).not.toEqual(first(0, "a", 1));
  });

  it("names the methods when it is given none of them", () => {
    const unknown = "toString" as InitMethod;
    const initialise = () => initialiseWeight(unknown, 0, "conv1.weight", [1, 1]);
    expect(initialise).toThrow(UserError);
    expect(initialise).toThrow(/^initialise conv1.weight: expected one of kaiming_normal, .* received toString\.$/);
  });
});

describe("initialiseUniformBias", () => {
  it("keeps within ±1/√fan_in and fills that range", () => {
    const bias = initialiseUniformBias(0, "linear.bias", 16, 10_000);
    expect(Math.max(...bias)).toBeGreaterThan(0.249);
    expect(Math.min(...bias)).toBeLessThan(-0.249);
    expect(bias.every((value) => Math.abs(value) <= 0.25)).toBe(true);
  });
});

describe("fanOf", () => {
  it("counts a Linear's and a convolution's inputs and outputs as PyTorch does", () => {
    expect(fanOf([10, 512])).toEqual({ fanIn: 512, fanOut: 10 });
    expect(fanOf([64, 3, 7, 5])).toEqual({ fanIn: 105, fanOut: 2240 });
  });

  it.each([[[]], [[3]], [[3, 0]], [[3, 1.5]], [[3, -1]]])("refuses the shape %j", (shape) => {
    expect(() => fanOf(shape)).toThrow(`two or more positive integers for shape, received [${shape.join(", ")}]`);
  });
});

describe("the portable sources", () => {
  // ECMAScript leaves the results of these to the engine, and a browser has neither node: nor libtorch.
  it.each([
    ["../random", ["check", "hash", "philox", "stream", "log", "distributions"]],
    [".", ["weights"]],
  ])("in %s use only arithmetic that IEEE 754 fixes, and import nothing of Node or libtorch", (folder, names) => {
    for (const name of names) {
      const source = readFileSync(new URL(`${folder}/${name}.ts`, import.meta.url), "utf8");
      const code = source.replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, "");
      const functions = code.match(/Math\.\w+/g) ?? [];
      const exact = ["Math.sqrt", "Math.abs", "Math.floor", "Math.min", "Math.imul", "Math.SQRT2"];
      expect(functions.filter((f) => !exact.includes(f))).toEqual([]);
      expect(code).not.toMatch(/\*\*/);
      const imports = Array.from(code.matchAll(/from "([^".][^"]*)"/g), ([, module]) => module);
      const pure = ["@peekaboo/files/errors", "@peekaboo/files/safetensors"];
      expect(imports.filter((module = "") => !pure.includes(module))).toEqual([]);
    }
  });
});
