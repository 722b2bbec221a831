import { describe, expect, it } from "vitest";
import { densityOfRound, shotsOf } from "./schedule.js";

describe("density of a round", () => {
  it("falls as d^((i+1)/n) on the exponential schedule", () => {
    expect([0, 1].map((i) => densityOfRound("exponential", 0.25, i, 2))).toEqual([0.5, 0.25]);
  });

  it("falls as 1-(1-d)(i+1)/n on the linear schedule", () => {
    const densities = [0, 1, 2, 3].map((i) => densityOfRound("linear", 0.2, i, 4));
    [0.8, 0.6, 0.4, 0.2].forEach((expected, i) => {
      expect(densities[i]).toBeCloseTo(expected, 12);
    });
  });
});

describe("shots", () => {
  it("fire once before training for epoch 0", () => {
    expect(shotsOf({ epoch: 0, shots: 1, density: 0.25 })).toEqual([{ epoch: 0, density: 0.25 }]);
  });

  it("fire before epoch (s+1)·floor(E/S) at density 1-(1-d)(s+1)/S", () => {
    expect(shotsOf({ epoch: 7, shots: 2, density: 0.5 })).toEqual([
      { epoch: 3, density: 0.75 },
      { epoch: 6, density: 0.5 },
    ]);
  });

  it("end at exactly the density", () => {
    for (const density of [0.3, 0.2, 0.05]) expect(shotsOf({ epoch: 6, shots: 3, density })[2]?.density).toBe(density);
  });
});
