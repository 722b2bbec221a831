import { scope, Tensor, UserError } from "@peekaboo/torch";
import { describe, expect, it } from "vitest";
import {
  compareTensor,
  countDifferences,
  differingFraction,
  figureOf,
  type Measurement,
  pass,
  relativeError,
  signsOf,
} from "./compare.js";

const measured = (what: string, error: number, limit: number): Measurement => ({ what, error, limit });

describe("relativeError", () => {
  it("divides the largest difference by the largest expected magnitude", () => {
    expect(relativeError([1, -3.5, 2], [1, -4, 1.75])).toBe(0.125);
  });

  it("asks for equality where everything expected is zero", () => {
    expect(relativeError([0, -0], [0, 0])).toBe(0);
    expect(relativeError([1e-30], [0])).toBe(Number.POSITIVE_INFINITY);
  });

  it("is NaN when a number on either side is, or is missing", () => {
    expect(relativeError([1, Number.NaN], [1, 2])).toBeNaN();
    expect(relativeError([1, 2], [1, Number.NaN])).toBeNaN();
    expect(relativeError([1], [1, 2])).toBeNaN();
  });
});

describe("countDifferences and differingFraction", () => {
  it("count elements of any array class", () => {
    expect(countDifferences(new Uint8Array([1, 0, 1]), new BigInt64Array([1n, 1n, 1n]))).toBe(1);
    expect(countDifferences([Number.NaN], [Number.NaN])).toBe(1);
  });

  it("weigh all elements of all pairs alike", () => {
    expect(
      differingFraction([
        [[1], [2]],
        [
          [1, 2, 3],
          [1, 2, 3],
        ],
      ]),
    ).toBe(0.25);
    expect(differingFraction([])).toBe(0);
  });
});

describe("signsOf", () => {
  it("tells negative, zero and positive apart", () => {
    expect([...signsOf([-1e-30, -0, 0, 7])]).toEqual([-1, 0, 0, 1]);
  });
});

describe("pass", () => {
  it("holds up to the limit, and not for NaN", () => {
    expect(pass([measured("a", 0, 0), measured("b", 0.5, 0.5)])).toBe(true);
    expect(pass([measured("a", 0, 0), measured("b", 0.51, 0.5)])).toBe(false);
    expect(pass([measured("a", Number.NaN, 1)])).toBe(false);
  });
});

describe("figureOf", () => {
  it("names the error that is largest in units of its limit", () => {
    expect(figureOf([measured("loss", 0.02, 0.05), measured("state", 0.00052, 0.001)])).toBe(
      "5.2e-4 state (limit 0.001)",
    );
    expect(figureOf([measured("loss", 9, 1), measured("signs", 1, 0)])).toBe("1 signs (limit 0)");
    expect(figureOf([measured("loss", 9, 1), measured("state", Number.NaN, 1)])).toBe("NaN state (limit 1)");
    expect(figureOf([measured("bits", 0, 0), measured("loss", 0.0123456, 1)])).toBe("0.0123 loss (limit 1)");
  });
});

describe("compareTensor", () => {
  const expected = { dtype: "F32", shape: [2], data: new Uint8Array(new Float32Array([1, 2]).buffer) } as const;

  it("measures a tensor against a file's entry", () => {
    scope(() => {
      const actual = Tensor.of([1, 2.5]);
      expect(compareTensor("w", actual, expected, 0.1)).toEqual({ what: "w", error: 0.25, limit: 0.1 });
    });
  });

  it("refuses another shape with as many elements", () => {
    scope(() => {
      expect(() => compareTensor("w", Tensor.of([[1, 2]]), expected, 0.1)).toThrow(UserError);
      expect(() => compareTensor("w", Tensor.of([[1, 2]]), expected, 0.1)).toThrow(
        /shape \[2\] for w, received \[1, 2\]/,
      );
    });
  });
});
