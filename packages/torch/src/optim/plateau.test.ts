import { describe, expect, it } from "vitest";
import { type PlateauOptions, ReduceOnPlateau } from "./plateau.js";

/** The learning rate after each measure, from 1. */
function rates(options: PlateauOptions, measures: readonly number[]): number[] {
  const target = { lr: 1 };
  const plateau = new ReduceOnPlateau(target, options);
  return measures.map((measure) => {
    plateau.step(measure);
    return target.lr;
  });
}

describe("ReduceOnPlateau", () => {
  it("lowers the rate once more than `patience` steps brought nothing", () => {
    expect(rates({ factor: 0.5, patience: 2 }, [5, 5, 5, 5, 5, 5, 5])).toEqual([1, 1, 1, 0.5, 0.5, 0.5, 0.25]);
    expect(rates({ factor: 0.5, patience: 1 }, [5, 6, 4, 6, 6])).toEqual([1, 1, 1, 1, 0.5]);
  });

  it("takes less than the threshold's part of the best for nothing", () => {
    expect(rates({ factor: 0.5, patience: 0, threshold: 0.1 }, [10, 9.5, 9.4, 8])).toEqual([1, 0.5, 0.25, 0.25]);
    expect(rates({ factor: 0.5, patience: 0 }, [10, 9.5, 9.4])).toEqual([1, 1, 1]);
  });

  it("can wait for the largest, and counts NaN as nothing", () => {
    expect(rates({ mode: "max", factor: 0.5, patience: 0 }, [0.5, 0.6, 0.6])).toEqual([1, 1, 0.5]);
    expect(rates({ factor: 0.5, patience: 0 }, [Number.NaN, 3])).toEqual([0.5, 0.5]);
  });

  it("counts nothing while it cools down, and stops at the minimum", () => {
    expect(rates({ factor: 0.5, patience: 0, cooldown: 2 }, [1, 1, 1, 1, 1])).toEqual([1, 0.5, 0.5, 0.5, 0.25]);
    expect(rates({ factor: 0.5, patience: 0, minimum: 0.4 }, [1, 1, 1, 1])).toEqual([1, 0.5, 0.4, 0.4]);
  });

  it("goes on from a saved state", () => {
    const first = new ReduceOnPlateau({ lr: 1 }, { patience: 1 });
    expect(first.stateDict()).toEqual({ best: null, bad: 0, cooling: 0 });
    first.step(3);
    first.step(3);
    const target = { lr: 1 };
    const second = new ReduceOnPlateau(target, { patience: 1 });
    second.loadStateDict(JSON.parse(JSON.stringify(first.stateDict())));
    second.step(3);
    expect(target.lr).toBe(0.1);
    expect(() => second.loadStateDict({ best: 1, bad: -1, cooling: 0 })).toThrow("for bad, received -1");
  });

  it("refuses a factor that would not lower", () => {
    expect(() => new ReduceOnPlateau({ lr: 1 }, { factor: 1 })).toThrow("from 0 to below 1 for factor, received 1");
  });
});
