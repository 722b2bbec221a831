import { scope, type Tensor } from "@peekaboo/torch";
import { z } from "zod";
import { Bop } from "#peekaboo/optim/bop";
import { compareTensor, countDifferences, type Measurement, signsOf, valuesLike } from "./compare.js";
import type { GoldenFile } from "./golden-file.js";
import { defineKind } from "./kind.js";

const schema = z.object({
  ar: z.number(),
  tau: z.number(),
  steps: z.int().positive(),
  decayBeforeStep: z.int(),
  decayRatio: z.number(),
});

const NAME = "weight";

/** Some steps of Bop on one weight tensor (docs/algorithm.md §3). */
export const bop = defineKind(schema, (params, { file, tolerance }) => {
  const golden = file();
  return scope(() => {
    const weight = golden.tensor("weight").requireGrad();
    const optimizer = new Bop(new Map([[NAME, weight]]), params);
    try {
      const measurements: Measurement[] = [];
      for (let s = 0; s < params.steps; s++) {
        if (s === params.decayBeforeStep) optimizer.ar *= params.decayRatio;
        weight.grad = golden.tensor(`grad_${s}`);
        optimizer.step();
        const { momentum } = stateOf(optimizer);
        measurements.push(
          compareTensor(`momentum_${s}`, momentum, golden.entry(`momentum_${s}`), tolerance),
          compareSigns(`weight_${s}`, weight, golden),
        );
      }
      return [...measurements, compareFlips(stateOf(optimizer).flips, golden)];
    } finally {
      optimizer.dispose();
    }
  });
});

function stateOf(optimizer: Bop) {
  const state = optimizer.stateDict().get(NAME);
  if (state === undefined) throw new TypeError("bop: expected a state after a step");
  return state;
}

function compareSigns(name: string, weight: Tensor, golden: GoldenFile): Measurement {
  const signs = signsOf(valuesLike(golden.entry(name), weight, name));
  const error = countDifferences(signs, signsOf(golden.values(name)));
  return { what: `differing signs of ${name}`, error, limit: 0 };
}

function compareFlips(flips: Tensor, golden: GoldenFile): Measurement {
  const counts = valuesLike(golden.entry("flips"), flips, "flips");
  return { what: "differing flip counts", error: countDifferences(counts, golden.values("flips")), limit: 0 };
}
