import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Network } from "../models/network.js";
import { prune } from "../pruning/loop.js";
import { magnitude } from "../pruning/pruners/magnitude.js";
import { EpochWarnings } from "./warnings.js";

let network: Network;
/** Half of the convolutions' weights, as pruning left them. */
let kept: number;

beforeAll(async () => {
  network = new Network({ arch: "ResNet20", numClasses: 10, width: 0.25 });
  network.initialise("kaiming_normal", 1);
  const how = { density: 0.5, iterations: 1, schedule: "exponential", scope: "local", imageShape: [3, 8, 8] } as const;
  await prune(network, { pruner: magnitude, ...how });
  kept = [...network.masks().values()].reduce((sum, mask) => sum + mask.toFloat32Array().reduce((a, b) => a + b, 0), 0);
});
afterAll(() => network.dispose());

let said: string[];
let warnings: EpochWarnings;
beforeEach(() => {
  said = [];
  warnings = new EpochWarnings(network, { bop: { tau: 1e-6 }, sgd: { lr: 0.1 } }, (text) => said.push(text));
});

const epoch = { steps: 10, flips: 3, skipped: 0, ar: 1e-3 };

describe("EpochWarnings", () => {
  it("says once an epoch that more than 90 % of the kept weights flipped, and not that 90 % did", () => {
    warnings.step({ flips: Math.floor(0.9 * kept), ar: 1e-3 }, 4);
    expect(said).toEqual([]);
    warnings.step({ flips: Math.ceil(0.95 * kept), ar: 1e-3 }, 5);
    warnings.step({ flips: kept, ar: 1e-3 }, 6);
    expect(said).toEqual([
      "95.0 % of the kept weights flipped their sign in step 5: γ is too large or τ too small. Lower `bop.ar` (0.001 now) or raise `bop.tau` (0.000001).",
    ]);
  });

  it("says so when all did", () => {
    warnings.step({ flips: kept, ar: 0.5 }, 1);
    expect(said[0]).toMatch(/^all kept weights flipped their sign in step 1: .* \(0.5 now\)/);
  });

  it("says after an epoch without flips that τ is too large, unless γ is zero or Bop takes no part", () => {
    warnings.end(2, { ...epoch, flips: 0.1 });
    warnings.end(2, { ...epoch, flips: 0, ar: null });
    warnings.end(2, { ...epoch, flips: 0, ar: 0 });
    warnings.end(2, { ...epoch, flips: 0, steps: 0 });
    expect(said).toEqual([]);
    warnings.end(2, { ...epoch, flips: 0 });
    expect(said).toEqual([
      "no weight flipped its sign in epoch 3: τ is too large or γ too small. Lower `bop.tau` (0.000001 now) or raise `bop.ar` (0.001).",
    ]);
  });

  it("advises to lower nothing that is zero already", () => {
    const zero = new EpochWarnings(network, { bop: { tau: 0 }, sgd: { lr: 0 } }, (text) => said.push(text));
    zero.end(2, { ...epoch, flips: 0, skipped: 1 });
    expect(said).toHaveLength(2);
    expect(said[0]).toMatch(/Raise `bop.ar` \(0.001 now\)\.$/);
    expect(said.join()).not.toMatch(/Lower/);
  });

  it("counts an epoch's skipped batches in one sentence that tells of the first", () => {
    warnings.skip({ what: "loss", where: "the output of conv1" }, 7);
    warnings.skip({ what: "gradient", where: "the gradient of conv1.weight" }, 9);
    expect(said).toEqual([]);
    warnings.end(0, { ...epoch, skipped: 2 });
    expect(said).toEqual([
      "skipped 2 of 12 batches of epoch 1, whose loss or gradient was not finite, first in step 7 (loss: the output of conv1). Lower `sgd.lr` if they grow in number.",
    ]);
  });
});
