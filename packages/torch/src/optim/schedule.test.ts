import { describe, expect, it } from "vitest";
import {
  constant,
  cosine,
  exponential,
  linear,
  multiStep,
  oneCycle,
  type Schedule,
  Scheduler,
  stepwise,
  warmup,
} from "./schedule.js";

/** The values at t = 0, 1, …, or at those that are given. */
function expectValues(schedule: Schedule, expected: Readonly<Record<number, number>>): void {
  for (const [t, value] of Object.entries(expected)) expect(schedule(Number(t)), `t = ${t}`).toBeCloseTo(value, 8);
}

describe("a schedule", () => {
  it("multiStep falls at each milestone, as PyTorch documents MultiStepLR", () => {
    expectValues(multiStep([30, 80]), { 0: 1, 29: 1, 30: 0.1, 79: 0.1, 80: 0.01, 200: 0.01 });
    expectValues(multiStep([2, 2], 0.5), { 1: 1, 2: 0.25 });
    expectValues(multiStep([]), { 9: 1 });
  });

  it("stepwise falls every so often, as PyTorch documents StepLR", () => {
    expectValues(stepwise(30), { 0: 1, 29: 1, 30: 0.1, 59: 0.1, 60: 0.01 });
  });

  it("exponential falls each time, as ExponentialLR", () => {
    expectValues(exponential(0.9), { 0: 1, 1: 0.9, 3: 0.729 });
  });

  it("linear goes straight and stays", () => {
    expectValues(linear(4), { 0: 1, 1: 0.75, 3: 0.25, 4: 0, 9: 0 });
    expectValues(linear(4, 0.5), { 2: 0.75, 4: 0.5, 5: 0.5 });
  });

  it("cosine is CosineAnnealingLR as far as its end, and stays there", () => {
    expectValues(cosine(10), { 0: 1, 1: 0.9755282581, 5: 0.5, 9: 0.0244717419, 10: 0, 15: 0 });
    expectValues(cosine(4, 0.2), { 0: 1, 2: 0.6, 4: 0.2 });
  });

  it("oneCycle is OneCycleLR", () => {
    expectValues(oneCycle({ total: 10 }), {
      ...[0.04, 0.52, 1, 0.95048463, 0.81174565, 0.61126202, 0.38874198, 0.18825835, 0.04951937, 4e-6],
      20: 4e-6,
    });
    expectValues(oneCycle({ total: 5, rise: 0.4, divide: 10, finalDivide: 10 }), { 0: 0.1, 1: 1, 4: 0.01 });
  });

  it("warmup rises before another that starts at its own zero", () => {
    expectValues(warmup(4, cosine(2)), { 0: 0.25, 1: 0.5, 3: 1, 4: 1, 5: 0.5, 6: 0 });
    expectValues(warmup(0, constant), { 0: 1, 7: 1 });
  });
});

describe("Scheduler", () => {
  it("sets base · schedule(t), from t = 0", () => {
    const target = { lr: 0.2 };
    const scheduler = new Scheduler(target, linear(4));
    const seen = [target.lr];
    for (let i = 0; i < 4; i++) {
      scheduler.step();
      seen.push(target.lr);
    }
    expect(seen.map((lr) => Math.round(lr * 1e12) / 1e12)).toEqual([0.2, 0.15, 0.1, 0.05, 0]);
  });

  it("goes on from a saved state, whatever the rate is by then", () => {
    const target = { lr: 0.8 };
    const before = new Scheduler(target, exponential(0.5));
    before.step();
    before.step();
    const state = JSON.parse(JSON.stringify(before.stateDict())) as { t: number; base: number };
    const again = { lr: 0.2 };
    const after = new Scheduler(again, exponential(0.5));
    after.loadStateDict(state);
    expect(again.lr).toBe(0.2);
    after.step();
    expect(again.lr).toBe(0.1);
  });

  it("refuses a state that none could have saved", () => {
    const target = { lr: 1 };
    const scheduler = new Scheduler(target, constant);
    expect(() => scheduler.loadStateDict({ t: Number.NaN, base: 1 })).toThrow("for t, received NaN");
    expect(() => scheduler.loadStateDict({ t: 0, base: -1 })).toThrow("for base, received -1");
    expect(scheduler.stateDict()).toEqual({ t: 0, base: 1 });
  });
});
