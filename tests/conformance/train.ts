import { asTypedArray, type TensorEntry } from "@peekaboo/files/safetensors";
import { ops, optim, scope, UserError } from "@peekaboo/torch";
import { z } from "zod";
import { PLAIN_GRADIENT } from "#peekaboo/layers/psg-conv2d";
import type { Network } from "#peekaboo/models/network";
import { Bop } from "#peekaboo/optim/bop";
import {
  compareTensor,
  differingFraction,
  type Measurement,
  type Numbers,
  relativeError,
  signsOf,
  valuesLike,
} from "./compare.js";
import type { GoldenFile } from "./golden-file.js";
import { defineKind } from "./kind.js";
import { loadMasks, loadState, networkSchema, stateTensor, withNetwork } from "./network-case.js";
import { psgOptionsOf, psgSchema } from "./psg-conv2d.js";

/** The first step must agree; later ones drift apart as rounding tips single signs. */
const LIMIT = { firstLoss: 1e-4, firstSigns: 1e-4, laterLoss: 0.05, finalSigns: 0.005 };

const schema = networkSchema.extend({
  init: z.string(),
  steps: z.int().positive(),
  /** Null: the plain gradient. */
  psg: psgSchema.nullable(),
  bop: z.object({ ar: z.number(), tau: z.number() }),
  sgd: z.object({ lr: z.number(), momentum: z.number(), weightDecay: z.number() }),
});

type Params = z.output<typeof schema>;

/** Some training steps with Bop and SGD from a given state, with given masks and batches. */
export const train = defineKind(schema, (params, { file, open, tolerance }) => {
  const { psg, init } = params;
  return withNetwork(params, psg === null ? PLAIN_GRADIENT : psgOptionsOf(psg), (network) => {
    const golden = file();
    loadState(network, open(init));
    loadMasks(network, golden.group("mask"));
    network.module.train();
    return runSteps(network, params, golden, tolerance);
  });
});

function runSteps(network: Network, params: Params, golden: GoldenFile, tolerance: number): Measurement[] {
  const bop = new Bop(network.bopParameters(), params.bop);
  const sgd = new optim.SGD(network.otherParameters(), params.sgd);
  const expected = expectedLosses(golden, params.steps);
  const measurements: Measurement[] = [];
  try {
    for (const [s, value] of expected.entries()) {
      const error = relativeError([scope(() => step(network, bop, sgd, golden, s))], [value]);
      measurements.push({ what: `loss_${s}`, error, limit: s === 0 ? LIMIT.firstLoss : LIMIT.laterLoss });
      if (s === 0) measurements.push(...compareFirst(network, golden, tolerance));
    }
    return [...measurements, compareSigns(network, golden, "final_sign", LIMIT.finalSigns)];
  } finally {
    bop.dispose();
    sgd.dispose();
  }
}

/** One step on batch `s`; returns the loss before it. */
function step(network: Network, bop: Bop, sgd: optim.SGD, golden: GoldenFile, s: number): number {
  bop.zeroGrad();
  sgd.zeroGrad();
  const logits = network.call(golden.tensor(`input_${s}`));
  const loss = ops.crossEntropyLoss(logits, golden.tensor(`target_${s}`));
  loss.backward();
  bop.step();
  sgd.step();
  return loss.item();
}

function expectedLosses(golden: GoldenFile, steps: number): number[] {
  const losses = Array.from(golden.values("loss"), Number);
  if (losses.length === steps) return losses;
  throw new UserError({
    operation: "read golden cases",
    argument: "loss",
    expected: `one for each of the ${steps} steps`,
    received: `${losses.length}`,
  });
}

function compareFirst(network: Network, golden: GoldenFile, tolerance: number): Measurement[] {
  const state = [...golden.group("first")].map(([name, entry]) =>
    compareTensor(`first.${name}`, stateTensor(network, name), entry, tolerance),
  );
  return [...state, compareSigns(network, golden, "first_sign", LIMIT.firstSigns)];
}

/** The differing part of the signs of mask ⊙ weight, stored as 0, 1 and 2 for -, 0 and +, over all tensors of a group. */
function compareSigns(network: Network, golden: GoldenFile, group: string, limit: number): Measurement {
  const pairs = [...golden.group(group)].map(([name, entry]): [Numbers, Numbers] => [
    maskedSigns(network, name, entry),
    Int8Array.from<number | bigint>(asTypedArray(entry), (code) => Number(code) - 1),
  ]);
  return { what: `of ${group}`, error: differingFraction(pairs), limit };
}

function maskedSigns(network: Network, name: string, entry: TensorEntry): Numbers {
  return scope(() => {
    const tensor = stateTensor(network, name);
    const mask = network.masks().get(name);
    return signsOf(valuesLike(entry, mask === undefined ? tensor : tensor.mul(mask), name));
  });
}
