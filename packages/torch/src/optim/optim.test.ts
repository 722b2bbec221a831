import { describe, expect, it } from "vitest";
import { UserError } from "../errors.js";
import { Tensor } from "../tensor.js";
import * as optim from "./index.js";

function parameter(values: number[]): Tensor {
  return Tensor.of(values, { dtype: "float64" }).requireGrad();
}

function step(optimizer: optim.Optimizer, tensor: Tensor, gradient: number[]): number[] {
  tensor.grad = Tensor.of(gradient, { dtype: "float64" });
  optimizer.step();
  return tensor.toArray() as number[];
}

function close(received: number[], expected: number[]): void {
  expected.forEach((value, i) => {
    expect(received[i]).toBeCloseTo(value, 12);
  });
}

describe("SGD", () => {
  it("steps along momentum and weight decay as PyTorch does", () => {
    const w = parameter([1]);
    const sgd = new optim.SGD([["w", w]], { lr: 0.1, momentum: 0.9, weightDecay: 0.5 });
    // g = 2 + 0.5·1 = 2.5, v = 2.5, w = 0.75; then g = 2 + 0.375 = 2.375, v = 2.25 + 2.375 = 4.625, w = 0.2875.
    close(step(sgd, w, [2]), [0.75]);
    close(step(sgd, w, [2]), [0.2875]);
  });

  it("looks ahead with Nesterov", () => {
    const w = parameter([0]);
    const sgd = new optim.SGD([["w", w]], { lr: 0.1, momentum: 0.5, nesterov: true });
    // v = 2, direction 2 + 0.5·2 = 3; then v = 1 + 2 = 3, direction 2 + 1.5 = 3.5.
    close(step(sgd, w, [2]), [-0.3]);
    close(step(sgd, w, [2]), [-0.65]);
  });
});

describe("Adam", () => {
  it("moves by the learning rate at first, whatever the gradient's size", () => {
    const w = parameter([1, 1]);
    const adam = new optim.Adam([["w", w]], { lr: 0.1, eps: 0 });
    close(step(adam, w, [5, -0.001]), [0.9, 1.1]);
    // m = 0.9·0.5 + 0.1·1 = 0.55, v = 0.999·0.025 + 0.001·1 = 0.025975 for gradients 5, 1 in the first place.
    const expected = 0.9 - (0.1 * (0.55 / 0.19)) / Math.sqrt(0.025975 / (1 - 0.999 ** 2));
    expect(step(adam, w, [1, 0])[0]).toBeCloseTo(expected, 12);
  });
});

describe("saved states", () => {
  it.each([
    ["SGD", (w: Tensor) => new optim.SGD([["w", w]], { lr: 0.1, momentum: 0.9 })],
    ["Adam", (w: Tensor) => new optim.Adam([["w", w]], { lr: 0.1 })],
  ] as const)("%s continues as if nothing had happened", (_, make) => {
    const run = (interrupted: boolean) => {
      const w = parameter([1, -2]);
      let optimizer: optim.Optimizer = make(w);
      for (let i = 0; i < 6; i++) {
        step(optimizer, w, [Math.sin(i), 0.5]);
        if (!interrupted || i !== 2) continue;
        const next = make(w);
        next.loadStateDict(optimizer.stateDict());
        optimizer.dispose();
        optimizer = next;
      }
      return w.toArray();
    };
    expect(run(true)).toEqual(run(false));
  });

  it("are refused for another shape or name", () => {
    const sgd = new optim.SGD([["w", parameter([1])]], { lr: 0.1, momentum: 0.9 });
    const state = (key: string, values: number[]) => ({ tensors: new Map([[key, Tensor.of(values)]]), numbers: {} });
    expect(() => sgd.loadStateDict(state("momentum.w", [1, 2]))).toThrow(UserError);
    expect(() => sgd.loadStateDict(state("momentum.v", [1]))).toThrow("received an unknown one");
    expect(() => sgd.loadStateDict(state("other.w", [1]))).toThrow(UserError);
  });
});

describe("schedules", () => {
  it("follow their formulas", () => {
    const at = (schedule: optim.Schedule, times: number[]) => times.map((t) => Number(schedule(t).toPrecision(12)));
    expect(at(optim.multiStep([80, 120]), [0, 79, 80, 120])).toEqual([1, 1, 0.1, 0.01]);
    expect(at(optim.stepwise(30), [29, 30, 60])).toEqual([1, 0.1, 0.01]);
    expect(at(optim.exponential(0.5), [0, 3])).toEqual([1, 0.125]);
    expect(at(optim.linear(10, 0.2), [0, 5, 10, 11])).toEqual([1, 0.6, 0.2, 0.2]);
    expect(at(optim.cosine(4), [0, 2, 4])).toEqual([1, 0.5, 0]);
    expect(at(optim.warmup(4, optim.constant), [0, 1, 3, 4])).toEqual([0.25, 0.5, 1, 1]);
  });

  it("set an optimiser's learning rate, and continue from a saved state", () => {
    const target = { lr: 0.1 };
    const scheduler = new optim.Scheduler(target, optim.multiStep([2]));
    scheduler.step();
    expect(target.lr).toBe(0.1);
    scheduler.step();
    expect(target.lr).toBeCloseTo(0.01, 15);
    const other = { lr: 5 };
    const resumed = new optim.Scheduler(other, optim.multiStep([2]));
    resumed.loadStateDict(scheduler.stateDict());
    expect(other.lr).toBeCloseTo(0.01, 15);
  });
});
