import { UserError } from "@peekaboo/files/errors";
import { describe, expect, it } from "vitest";
import { minKept } from "../config/min-kept.js";
import { leastOf, minKeptInWords, raised } from "./min-kept.js";
import { refuseLargeMinimum } from "./min-kept-fit.js";

describe("a minimum of each layer", () => {
  it.each([
    ["0.01", { fraction: 0.01 }],
    [".5", { fraction: 0.5 }],
    ["1e-2", { fraction: 0.01 }],
    ["1%", { fraction: 0.01 }],
    ["0.5 %", { fraction: 0.005 }],
    ["100%", { fraction: 1 }],
    ["1.0", { fraction: 1 }],
    ["1", { weights: 1 }],
    ["25", { weights: 25 }],
    ["1e3", { weights: 1000 }],
  ])("is read from %j, also after a round trip through JSON", (text, value) => {
    expect(minKept().fromText(text)).toEqual(value);
    expect(minKept().fromJson(JSON.parse(JSON.stringify(value)))).toEqual(value);
    expect(minKept().fromText(minKeptInWords(value))).toEqual(value);
  });

  it.each([
    "",
    "0",
    "0.0",
    "0%",
    "-1",
    "-0.1",
    "1.5",
    "101%",
    "2.0",
    "%",
    "abc",
    "1e999",
    "0x1",
    "1,5",
    "9007199254740992",
  ])("is not %j", (text) => expect(minKept().fromText(text)).toBeUndefined());

  it.each([
    [{}],
    [{ fraction: 0 }],
    [{ fraction: 1.5 }],
    [{ weights: 0.5 }],
    [{ weights: 1, fraction: 1 }],
    [0.1],
    ["1%"],
    [null],
  ])("is not %j in JSON", (json) => expect(minKept().fromJson(json)).toBeUndefined());

  it("is at least a weight, at most the layer, and a fraction's is rounded up", () => {
    expect([1, 10, 1000].map((size) => leastOf({ weights: 25 }, size))).toEqual([1, 10, 25]);
    expect([1, 99, 100, 101].map((size) => leastOf({ fraction: 0.01 }, size))).toEqual([1, 1, 1, 2]);
    // Products that aren't whole in binary: 0.07 · 100 is 7.000000000000001.
    expect([100, 8192].map((size) => leastOf({ fraction: 0.07 }, size))).toEqual([7, 574]);
    expect(leastOf({ fraction: 1 }, 12)).toBe(12);
  });
});

describe("raised budgets", () => {
  it("take from the others in proportion to what these have beyond their minima", () => {
    expect(raised([2, 40, 80], [10, 10, 20])).toEqual([10, 37, 75]);
    expect(raised([5, 5], [3, 3])).toEqual([5, 5]);
    expect(raised([0, 0, 9], [3, 3, 3])).toEqual([3, 3, 3]);
  });

  it("add up as before and hold each minimum, for any numbers that fit", () => {
    let state = 5;
    const draw = (below: number) => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    for (let trial = 0; trial < 300; trial++) {
      const budgets = Array.from({ length: 1 + draw(12) }, () => draw(1000));
      const minima = budgets.map(() => draw(200));
      const sum = (values: number[]) => values.reduce((a, b) => a + b, 0);
      if (sum(minima) > sum(budgets)) continue;
      const result = raised(budgets, minima);
      expect(sum(result)).toBe(sum(budgets));
      result.forEach((value, i) => {
        expect(value).toBeGreaterThanOrEqual(minima[i] ?? 0);
        expect(value).toBeLessThanOrEqual(Math.max(budgets[i] ?? 0, minima[i] ?? 0));
      });
    }
  });
});

describe("minima beyond what is kept", () => {
  const refusal = (...args: Parameters<typeof refuseLargeMinimum>) => {
    try {
      refuseLargeMinimum(...args);
    } catch (error) {
      expect(error).toBeInstanceOf(UserError);
      return String(error);
    }
    return "accepted";
  };

  it("are refused with the density and the minimum that fit", () => {
    const sizes = [10, 100, 1000];
    expect(refusal({ weights: 50 }, sizes, 0.1)).toBe("accepted");
    expect(refusal({ weights: 51 }, sizes, 0.1)).toContain(
      "expected layers' minima within the 111 weights that `density` 0.1 keeps for `minKept` 51, received 112 together; give `density` 0.101 or more, or `minKept` 50 or less.",
    );
  });

  it.each([
    [{ weights: 60 }, 0.01],
    [{ weights: 1000 }, 0.15],
    [{ fraction: 0.3 }, 0.1],
    [{ fraction: 1 }, 0.9999],
    [{ fraction: 0.0301 }, 0.03],
  ])("so that what is told is accepted, and little more is not: %j at %d", (least, density) => {
    const sizes = [432, 2304, 9216, 7];
    const words = refusal(least, sizes, density);
    const [, ratio] = /give `density` (\S+) or more/.exec(words) ?? [];
    expect(refusal(least, sizes, Number(ratio))).toBe("accepted");
    expect(refusal(least, sizes, Number(ratio) * 0.99)).not.toBe("accepted");
    const [, lower] = /or `minKept` (\S+) or less/.exec(words) ?? [];
    const fitting = minKept().fromText(lower ?? "");
    expect(fitting).toBeDefined();
    if (fitting) expect(refusal(fitting, sizes, density)).toBe("accepted");
  });

  it("where not even one weight of each layer fits, tell the density alone", () => {
    expect(refusal({ weights: 1 }, [10, 10, 10], 0.05)).toMatch(/received 3 together; give `density` 0\.1 or more\.$/);
  });
});
