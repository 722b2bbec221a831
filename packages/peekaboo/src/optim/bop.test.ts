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

  it("refuses γ outside (0, 1), τ below 0 and a state of another shape", () => {
    const weight = Tensor.of([1, 2]).requireGrad();
    const parameters = new Map([["w", weight]]);
    expect(() => new Bop(parameters, { ar: 1, tau: 0 })).toThrow(UserError);
    expect(() => new Bop(parameters, { ar: 0, tau: 0 })).toThrow(UserError);
    expect(() => new Bop(parameters, { ar: 0.5, tau: -1e-9 })).toThrow("at least 0");
    const bop = new Bop(parameters, { ar: 0.5, tau: 0 });
    const other = { momentum: Tensor.of([1]), flips: Tensor.of([0], { dtype: "int32" }) };
    expect(() => bop.loadStateDict(new Map([["w", other]]))).toThrow("expected shape [2] for w, received [1]");
    expect(() => bop.loadStateDict(new Map([["v", other]]))).toThrow("received an unknown one");
  });
});
