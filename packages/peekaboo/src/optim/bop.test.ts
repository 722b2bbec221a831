import { Tensor, UserError } from "@peekaboo/torch";
import { describe, expect, it } from "vitest";
import { Bop } from "./bop.js";

function withGradient(weight: Tensor, gradient: number[]): Tensor {
  weight.grad = Tensor.of(gradient);
  return weight;
}

describe("Bop", () => {
  it("starts at (1+γ)·g, decays to (1-γ)·m + γ·g, and flips where |m| ≥ τ has the weight's sign", () => {
    const weight = Tensor.of([0.5, -0.5, 0.5, 0, -0.5]).requireGrad();
    const bop = new Bop(new Map([["w", weight]]), { ar: 0.5, tau: 0.3 });
    withGradient(weight, [0.4, 0.4, 0.1, 1, -0.2]);
    // m = 1.5·g = 0.6 0.6 0.15 1.5 -0.3: flips 0 (same sign) and 4 (|-0.3| ≥ 0.3), not 1, 2 (small), 3 (zero weight).
    expect(bop.step()).toEqual(new Map([["w", 2]]));
    expect(weight.toArray()).toEqual([-0.5, -0.5, 0.5, 0, 0.5]);
    withGradient(weight, [0, 0, 0.5, 0, 0.5]);
    // m = 0.3 0.3 0.325 0.75 0.1: flips 2 alone.
    expect(bop.step()).toEqual(new Map([["w", 1]]));
    expect(weight.toArray()).toEqual([-0.5, -0.5, -0.5, 0, 0.5]);
    const state = bop.stateDict().get("w");
    [0.3, 0.3, 0.325, 0.75, 0.1].forEach((expected, i) => {
      expect(state?.momentum.toFloat32Array()[i]).toBeCloseTo(expected, 6);
    });
    expect(state?.flips.toArray()).toEqual([1, 0, 1, 0, 1]);
  });

  it("continues from a saved state as if nothing had happened", () => {
    const run = (interrupted: boolean) => {
      const weight = Tensor.of([0.5, -0.25, 0.125]).requireGrad();
      let bop = new Bop(new Map([["w", weight]]), { ar: 0.1, tau: 0.01 });
      for (let step = 0; step < 6; step++) {
        withGradient(weight, [Math.cos(step), Math.cos(2 * step), -0.3]);
        bop.step();
        if (interrupted && step === 2) {
          const next = new Bop(new Map([["w", weight]]), { ar: 0.1, tau: 0.01 });
          next.loadStateDict(bop.stateDict());
          bop.dispose();
          bop = next;
        }
      }
      return [weight.toArray(), bop.stateDict().get("w")?.flips.toArray()];
    };
    expect(run(true)).toEqual(run(false));
  });

  it("passes over a parameter without a gradient", () => {
    const weight = Tensor.of([1]).requireGrad();
    expect(new Bop(new Map([["w", weight]]), { ar: 0.1, tau: 0 }).step()).toEqual(new Map());
  });

  it("refuses γ outside (0, 1), τ below 0 and a state that isn't its own", () => {
    const weight = Tensor.of([1, 2]).requireGrad();
    const parameters = new Map([["w", weight]]);
    expect(() => new Bop(parameters, { ar: 1, tau: 0 })).toThrow(UserError);
    expect(() => new Bop(parameters, { ar: 0, tau: 0 })).toThrow(UserError);
    expect(() => new Bop(parameters, { ar: 0.5, tau: -1e-9 })).toThrow("at least 0");
    const bop = new Bop(parameters, { ar: 0.5, tau: 0 });
    const state = { momentum: Tensor.of([1, 2]), flips: Tensor.of([0, 0], { dtype: "int32" }) };
    const refusal = (changes: Record<string, Tensor>, name = "w") => {
      return () => bop.loadStateDict(new Map([[name, { ...state, ...changes }]]));
    };
    expect(refusal({ momentum: Tensor.of([1]) })).toThrow("float32 [2] for momentum.w, received float32 [1]");
    expect(refusal({ flips: Tensor.of([0, 0]) })).toThrow("int32 [2] for flips.w, received float32 [2]");
    expect(refusal({ variance: Tensor.of([0, 0]) })).toThrow("nothing for variance.w, received float32 [2]");
    expect(refusal({}, "v")).toThrow("received an unknown one");
    expect(bop.stateDict().size).toBe(0);
  });

  it("gives single parameters a γ and a τ of their own, γ following the schedule by the same factor", () => {
    const [a, b, c] = [1, 1, 1].map((value) => Tensor.of([value]).requireGrad());
    if (a === undefined || b === undefined || c === undefined) throw new TypeError("three weights");
    const parameters = new Map([
      ["a", a],
      ["b", b],
      ["c", c],
    ]);
    const layerAr = new Map([["b", 0.5]]);
    const bop = new Bop(parameters, { ar: 0.25, tau: 0.3, layerAr, layerTau: new Map([["c", 0.2]]) });
    const step = (gradient: number) => {
      for (const weight of parameters.values()) withGradient(weight, [gradient]);
      return bop.step();
    };
    const momenta = () => [...parameters.keys()].map((name) => bop.stateDict().get(name)?.momentum.item());
    // m = (1+γ)·0.2: 0.25, 0.3 (float32 rounds up) and 0.25.
    expect(step(0.2)).toEqual(new Map(Object.entries({ a: 0, b: 1, c: 1 })));
    expect(momenta()[1]).toBeCloseTo(0.3, 6);
    // A fifth of 0.25 is 0.05; b's 0.5 becomes 0.1.
    bop.ar = 0.05;
    expect(bop.ratesOf("a")).toEqual({ ar: 0.05, tau: 0.3 });
    expect(bop.ratesOf("b")).toEqual({ ar: 0.5 * (0.05 / 0.25), tau: 0.3 });
    expect(bop.ratesOf("c")).toEqual({ ar: 0.05, tau: 0.2 });
    expect(step(0)).toEqual(new Map(Object.entries({ a: 0, b: 0, c: 0 })));
    for (const [i, expected] of [0.2375, 0.27, 0.2375].entries()) expect(momenta()[i]).toBeCloseTo(expected, 6);
    expect(() => new Bop(parameters, { ar: 0.5, tau: 0, layerAr: new Map([["d", 0.1]]) })).toThrow("for d, received");
    expect(() => new Bop(parameters, { ar: 0.5, tau: 0, layerAr: new Map([["a", 1]]) })).toThrow("layerAr of a");
    expect(() => new Bop(parameters, { ar: 0.5, tau: 0, layerTau: new Map([["a", -1]]) })).toThrow("layerTau of a");
  });
});
