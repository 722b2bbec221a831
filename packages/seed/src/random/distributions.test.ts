import { describe, expect, it, vi } from "vitest";
import { webAssembly } from "../wasm/api.js";
import {
  fillByInversion,
  laplaceQuantile,
  normalQuantile,
  openUniform01,
  permutation,
  type Quantile,
  signQuantile,
  symmetricUniformQuantile,
} from "./distributions.js";
import { RandomStream } from "./stream.js";

const ALL_ONES = 0xffffffff;
const N = 100_000;

function draw(quantile: Quantile, name: string): Float64Array {
  const out = new Float64Array(N);
  fillByInversion(out, new RandomStream(0, name), quantile);
  return out;
}

function meanOf(values: Float64Array, f: (value: number) => number): number {
  return values.reduce((sum, value) => sum + f(value), 0) / values.length;
}

/** One value of a distribution. */
function at(quantile: Quantile, p: number): number {
  const values = Float64Array.of(p);
  quantile(values);
  return values[0] ?? Number.NaN;
}

/** Φ(x) by Marsaglia's series, "Evaluating the Normal Distribution" (2004): nothing that the code under test uses. */
function normalCdf(x: number): number {
  let sum = x;
  let term = x;
  for (let i = 3; i < 400; i += 2) {
    term *= (x * x) / i;
    sum += term;
  }
  return 0.5 + (sum * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI);
}

describe("openUniform01", () => {
  it("keeps off both ends, and off one half, by 2^-53", () => {
    expect(openUniform01(0, 0)).toBe(2 ** -53);
    expect(openUniform01(ALL_ONES, ALL_ONES)).toBe(1 - 2 ** -53);
    expect(openUniform01(0x80000000, 0)).toBe(0.5 + 2 ** -53);
    expect(openUniform01(0x7fffffff, ALL_ONES)).toBe(0.5 - 2 ** -53);
  });
});

describe("normalQuantile", () => {
  // Computed with mpmath at 300 bits; the last three lie below e^-25, where the second interval ends.
  it.each([
    [0.1, -1.2815515655446004],
    [0.75, 0.6744897501960817],
    [0.925, 1.4395314709384561],
    [0.975, 1.9599639845400538],
    [0.001, -3.0902323061678136],
    [0.9999999, 5.199337582290661],
    [2 ** -36, -6.651035379893011],
    [1e-11, -6.706023155495136],
    [2 ** -53, -8.209536151601387],
    [1e-300, -37.0470962993612],
  ])("gives Φ⁻¹(%s) = %s to 1e-15, relative", (p, expected) => {
    expect(Math.abs(at(normalQuantile, p) - expected)).toBeLessThanOrEqual(1e-15 * Math.abs(expected));
  });

  it("is odd about one half", () => {
    for (const p of [2 ** -53, 2 ** -40, 0.0625, 0.25, 0.4375])
      expect(at(normalQuantile, 1 - p)).toBe(-at(normalQuantile, p));
    expect(at(normalQuantile, 0.5)).toBe(0);
  });

  it("inverts Φ on both sides of its seams", () => {
    for (let p = 0.001; p < 1; p += 0.001) expect(normalCdf(at(normalQuantile, p))).toBeCloseTo(p, 14);
  });
});

describe("laplaceQuantile", () => {
  it("gives values worked out by hand", () => {
    expect(at(laplaceQuantile, 0.5)).toBeCloseTo(0, 15);
    expect(at(laplaceQuantile, 0.25)).toBe(-Math.LN2);
    expect(at(laplaceQuantile, 0.75)).toBe(Math.LN2);
    expect(at(laplaceQuantile, 2 ** -53)).toBeCloseTo(-52 * Math.LN2, 13);
  });
});

describe("fillByInversion", () => {
  it("gives value i from words 2i and 2i + 1, across chunks, scaled and rounded to the output's type", () => {
    const stream = new RandomStream(3, "fill");
    const out = new Float32Array(3001);
    fillByInversion(out, stream, symmetricUniformQuantile, 0.1);
    for (const i of [0, 1, 1023, 1024, 2048, 3000]) {
      const p = openUniform01(stream.uint32(2 * i), stream.uint32(2 * i + 1));
      expect(out[i]).toBe(Math.fround(0.1 * (2 * p - 1)));
    }
  });

  it("leaves an empty array empty", () => {
    const buffer = new Float32Array(2);
    const quantile = vi.fn();
    fillByInversion(buffer.subarray(1, 1), new RandomStream(0, ""), quantile);
    expect(quantile).not.toHaveBeenCalled();
    expect([...buffer]).toEqual([0, 0]);
  });

  // float32 is drawn by WebAssembly, float64 isn't.
  it.each([
    [0, 1],
    [1, 7],
    [2 ** 53 - 1, 1023],
    [7, 1024],
    [8, 1025],
    [9, 300_000],
  ])("draws normal values of seed %s, %s of them, with the same bits in WebAssembly", (seed, n) => {
    const [floats, doubles] = [new Float32Array(n), new Float64Array(n)];
    const scale = Math.SQRT2 / 12;
    fillByInversion(floats, new RandomStream(seed, "kernel"), normalQuantile, scale);
    fillByInversion(doubles, new RandomStream(seed, "kernel"), normalQuantile, scale);
    const different = doubles.findIndex((value, i) => !Object.is(Math.fround(value), floats[i]));
    expect(different).toBe(-1);
    expect(doubles.includes(0)).toBe(false);
  });

  it("makes that kernel where the machine has it, small enough for a page to compile at once, and none where it is forbidden", async () => {
    expect(webAssembly).toBeDefined();
    const Module = vi.spyOn(webAssembly ?? expect.fail(), "Module");
    vi.resetModules();
    const fresh = await import("./distributions.js");
    const out = new Float32Array(3000);
    fresh.fillByInversion(out, new RandomStream(5, "fresh"), fresh.normalQuantile);
    expect(Module).toHaveBeenCalledTimes(1);
    expect(Module.mock.calls[0]?.[0].length).toBeLessThan(4096);
    expect(Module.mock.results[0]?.type).toBe("return");

    Module.mockImplementation(() => {
      throw new Error("forbidden by the page's Content-Security-Policy");
    });
    vi.resetModules();
    const forbidden = await import("./distributions.js");
    const same = new Float32Array(3000);
    forbidden.fillByInversion(same, new RandomStream(5, "fresh"), forbidden.normalQuantile);
    expect(same).toEqual(out);
    Module.mockRestore();
  });

  // A statistic of 10^5 independent draws lies within 5 standard errors unless one seed in 1.7 million is to blame.
  it.each<[string, Quantile, number, number, number]>([
    ["uniform", symmetricUniformQuantile, 0, 1 / 3, 1 / 5],
    ["sign", signQuantile, 0, 1, 1],
    ["normal", normalQuantile, 0, 1, 3],
    ["laplace", laplaceQuantile, 0, 2, 24],
  ])("draws %s values with the mean and the variance of the distribution", (name, quantile, mean, square, fourth) => {
    const values = draw(quantile, name);
    const error = (variance: number) => 5 * Math.sqrt(variance / N);
    expect(Math.abs(meanOf(values, (x) => x) - mean)).toBeLessThanOrEqual(error(square));
    expect(Math.abs(meanOf(values, (x) => x * x) - square)).toBeLessThanOrEqual(error(fourth - square * square));
  });

  it("draws normal values with kurtosis 3", () => {
    const values = draw(normalQuantile, "kurtosis");
    expect(Math.abs(meanOf(values, (x) => x ** 4) - 3)).toBeLessThan(5 * Math.sqrt((105 - 9) / N));
  });

  it("draws neighbours that do not correlate", () => {
    const values = draw(normalQuantile, "neighbours");
    const products = values.map((value, i) => value * (values[(i + 1) % N] ?? 0));
    expect(Math.abs(meanOf(products, (x) => x))).toBeLessThan(5 / Math.sqrt(N));
  });

  it("draws normal values whose distribution function passes Kolmogorov and Smirnov's test at 0.1 %", () => {
    const sorted = draw(normalQuantile, "kolmogorov").sort();
    const distance = sorted.reduce((worst, value, i) => {
      const cdf = normalCdf(value);
      return Math.max(worst, cdf - i / N, (i + 1) / N - cdf);
    }, 0);
    expect(distance).toBeLessThan(1.95 / Math.sqrt(N));
  });
});

/** A stream of given words, then zeros. */
class ScriptedStream extends RandomStream {
  constructor(readonly words: number[]) {
    super(0, "scripted");
  }

  override fillUint32(out: Uint32Array, from = 0): void {
    for (let i = 0; i < out.length; i++) out[i] = this.words[from + i] ?? 0;
  }
}

describe("permutation", () => {
  it("swaps upwards as Fisher and Yates do", () => {
    // n - i = 4, 3, 2, 1 and word mod (n - i) = 2, 2, 0, 0: [0 1 2 3] → [2 1 0 3] → [2 3 0 1] → the same.
    expect([...permutation(new ScriptedStream([6, 5, 4, 9]), 4)]).toEqual([2, 3, 0, 1]);
  });

  it("throws away the words that would favour small numbers", () => {
    // 2^32 mod 3 = 1: of three, the last word 2^32 - 1 alone is refused.
    expect([...permutation(new ScriptedStream([ALL_ONES, ALL_ONES, ALL_ONES - 1, 0]), 3)]).toEqual([2, 1, 0]);
  });

  it("holds each integer once, and reads on beyond its first words", () => {
    const order = permutation(new RandomStream(0, "order"), 1000);
    expect(order).not.toEqual(order.toSorted());
    expect([...order.toSorted()]).toEqual(Array.from({ length: 1000 }, (_, i) => i));
  });

  it("gives a prefix of the whole order when fewer are asked for", () => {
    const whole = permutation(new RandomStream(0, "order"), 1000);
    for (const count of [0, 1, 100, 999])
      expect(permutation(new RandomStream(0, "order"), 1000, count)).toEqual(whole.slice(0, count));
  });

  it("makes every order of three equally likely", () => {
    const counts = new Map<string, number>();
    for (let seed = 0; seed < 6000; seed++) {
      const order = permutation(new RandomStream(seed, "three"), 3).join("");
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(6);
    const chiSquare = [...counts.values()].reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0);
    expect(chiSquare).toBeLessThan(20.5); // the 0.1 % point for five degrees of freedom
  });

  it("orders nothing, and one thing, in the one way there is", () => {
    expect(permutation(new RandomStream(0, ""), 0)).toEqual(new Int32Array(0));
    expect(permutation(new RandomStream(0, ""), 1)).toEqual(Int32Array.of(0));
  });

  it.each([[-1], [1.5], [2 ** 31], [3, 4], [3, -1]])("refuses n = %s, count = %s", (n, count = n) => {
    expect(() => permutation(new RandomStream(0, ""), n, count)).toThrow(RangeError);
  });
});
