import { liveTensorCount, noGrad, scope, Tensor, UserError } from "@peekaboo/torch";
import { afterEach, describe, expect, it } from "vitest";
import { Bop2, type Bop2Options } from "./bop2.js";

const options = { ar: 0.5, tau: 0.75, sigma: 0.25, eps: 1e-10, biasCorrection: false } as const;
const open: { dispose(): void }[] = [];
afterEach(() => {
  for (const thing of open.splice(0)) thing.dispose();
});

function make(values: number[], changes: Partial<Bop2Options> = {}): { weight: Tensor; bop: Bop2 } {
  const weight = Tensor.of(values).requireGrad();
  const bop = new Bop2(new Map([["w", weight]]), { ...options, ...changes });
  open.push(bop, weight);
  return { weight, bop };
}

/** Flips of one step with this gradient. */
function step(bop: Bop2, weight: Tensor, gradient: number[]): number | undefined {
  return scope(() => {
    weight.grad = Tensor.of(gradient);
    return bop.step().get("w");
  });
}

function expectState(bop: Bop2, kind: "momentum" | "variance", expected: number[]): void {
  const values = bop.stateDict().get("w")?.[kind].toFloat32Array() ?? [];
  expect(values).toHaveLength(expected.length);
  for (const [i, value] of expected.entries()) expect(values[i]).toBeCloseTo(value, 7);
}

const GRADIENTS = [
  [0.4, -0.2, 0.1, 0.3],
  [-0.4, 0.2, 0.1, -0.9],
  [-0.4, 0, 0, 0],
] as const;

describe("Bop2", () => {
  it("averages g and g² from zero and flips where |m| / (√v + ε) ≥ τ has the weight's sign", () => {
    const { weight, bop } = make([0.5, -0.5, 0.5, -0.5]);
    const [first, second, third] = GRADIENTS.map((gradient) => [...gradient]);
    // |m| / √v = 0.5·|g| / (0.5·|g|) = 1 everywhere; the last weight has the other sign.
    expect(step(bop, weight, first ?? [])).toBe(3);
    expect(weight.toArray()).toEqual([-0.5, 0.5, -0.5, -0.5]);
    expectState(bop, "momentum", [0.2, -0.1, 0.05, 0.15]);
    expectState(bop, "variance", [0.04, 0.01, 0.0025, 0.0225]);
    // Ratios 0.378, 0.378, 1.134 (the other sign) and 0.801.
    expect(step(bop, weight, second ?? [])).toBe(1);
    expect(weight.toArray()).toEqual([-0.5, 0.5, -0.5, 0.5]);
    expectState(bop, "momentum", [-0.1, 0.05, 0.075, -0.375]);
    expectState(bop, "variance", [0.07, 0.0175, 0.004375, 0.219375]);
    // Ratios 0.822, 0.218, and two of the other sign.
    expect(step(bop, weight, third ?? [])).toBe(1);
    expect(weight.toArray()).toEqual([0.5, 0.5, -0.5, 0.5]);
    expectState(bop, "momentum", [-0.25, 0.025, 0.0375, -0.1875]);
    expectState(bop, "variance", [0.0925, 0.013125, 0.00328125, 0.16453125]);
    expect(bop.stateDict().get("w")?.flips.toArray()).toEqual([2, 1, 1, 1]);
  });

  it("with bias correction divides m by 1 - (1-γ)ᵗ and v by 1 - (1-σ)ᵗ first", () => {
    const { weight, bop } = make([0.5, -0.5, 0.5, -0.5], { biasCorrection: true });
    // 0.5 and 0.25; 0.75 and 0.4375; 0.875 and 0.578125: ratios 1 at first, then 0.333, 0.333, 1 and 0.706 (in place of
    // 0.801), then 0.714 (in place of 0.822).
    const counts = GRADIENTS.map((gradient) => step(bop, weight, [...gradient]));
    expect(counts).toEqual([3, 0, 0]);
    expect(weight.toArray()).toEqual([-0.5, 0.5, -0.5, -0.5]);
    expectState(bop, "momentum", [-0.25, 0.025, 0.0375, -0.1875]);
    expect(bop.stateDict().get("w")?.correction.toArray()).toEqual([0.875, 0.578125]);
  });

  it("corrects by the product of the rates that were in force, not by the last one's power", () => {
    // After γ = 0.5 and 0.1: m = 0.5·0.9 + 0.1 = 0.55 of a constant gradient, and 1 - 0.5·0.9 = 0.55 of it is there.
    const { weight, bop } = make([1], { biasCorrection: true, tau: 0.999 });
    expect(step(bop, weight, [-2])).toBe(0);
    bop.ar = 0.1;
    expect(step(bop, weight, [-2])).toBe(0);
    expect(bop.stateDict().get("w")?.correction.toArray()).toEqual([0.55, 0.4375]);
    const { weight: agreeing, bop: other } = make([-1], { biasCorrection: true, tau: 0.999 });
    expect(step(other, agreeing, [-2])).toBe(1);
    other.ar = 0.1;
    noGrad(() => agreeing.mul_(-1));
    expect(step(other, agreeing, [-2])).toBe(1);
  });

  it("doesn't ask how large a gradient is, unless ε does", () => {
    const flips = (scale: number, eps: number) => {
      const { weight, bop } = make([1, 1, 1], { eps });
      return [0.3, -0.1, 0.2].map((g) => step(bop, weight, [g * scale, g * g * scale, -g * scale]));
    };
    expect(flips(1e-6, 1e-10)).toEqual(flips(1, 1e-10));
    expect(flips(1, 1e-10)).not.toEqual([0, 0, 0]);
    expect(flips(1e-6, 1e-2)).toEqual([0, 0, 0]);
  });

  it("leaves a weight of zero and one whose gradients are all zero", () => {
    const { weight, bop } = make([0, 1], { tau: 0 });
    expect(step(bop, weight, [3, 0])).toBe(0);
    expect(weight.toArray()).toEqual([0, 1]);
  });

  it("continues from a saved state as if nothing had happened, bias correction included", () => {
    const run = (interrupted: boolean) => {
      const { weight, bop } = make([0.5, -0.25, 0.125], { ar: 0.1, tau: 0.1, biasCorrection: true });
      let current = bop;
      const counts = Array.from({ length: 12 }, (_, i) => {
        if (interrupted && i === 5) {
          current = new Bop2(new Map([["w", weight]]), { ...options, ar: 0.1, tau: 0.1, biasCorrection: true });
          open.push(current);
          current.loadStateDict(bop.stateDict());
        }
        return step(current, weight, [Math.cos(i), Math.cos(2 * i), 0.3 * Math.sin(3 * i)]);
      });
      const state = Object.entries(current.stateDict().get("w") ?? {}).map(([kind, tensor]) => [
        kind,
        tensor.toArray(),
      ]);
      return { counts, weight: weight.toArray(), state };
    };
    const whole = run(false);
    expect(run(true)).toEqual(whole);
    expect(whole.counts.slice(5)).not.toEqual(Array(7).fill(0));
    expect(whole.state.map(([kind]) => kind)).toEqual(["momentum", "variance", "flips", "correction"]);
  });

  it("keeps four tensors a parameter, and frees them", () => {
    scope(() => {
      const { weight, bop } = make([1, 2]);
      weight.grad = Tensor.of([1, 1]);
      const before = liveTensorCount();
      for (let i = 0; i < 3; i++) bop.step();
      expect(liveTensorCount() - before).toBe(4);
      bop.dispose();
      expect(liveTensorCount() - before).toBe(0);
    });
  });

  it("refuses σ outside (0, 1), ε of 0, and another optimiser's state", () => {
    const parameters = new Map([["w", Tensor.of([1, 2]).requireGrad()]]);
    const refused = (changes: Partial<Bop2Options>) => () => new Bop2(parameters, { ...options, ...changes });
    expect(refused({ sigma: 0 })).toThrow(UserError);
    expect(refused({ sigma: 1 })).toThrow("make Bop2: expected a number between 0 and 1 for sigma, received 1");
    expect(refused({ eps: 0 })).toThrow("expected a number above 0 for eps, received 0");
    expect(refused({ ar: 1 })).toThrow(UserError);
    expect(refused({ tau: -1 })).toThrow(UserError);
    const bop = new Bop2(parameters, options);
    const ofBop = { momentum: Tensor.of([1, 2]), flips: Tensor.of([0, 0], { dtype: "int32" }) };
    expect(() => bop.loadStateDict(new Map([["w", ofBop]]))).toThrow("float32 [2] for variance.w, received nothing");
  });
});
