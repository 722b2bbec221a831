import { asTypedArray, type TensorEntry } from "@peekaboo/files/safetensors";
import { scope, type Tensor } from "@peekaboo/torch";
import { z } from "zod";
import { PLAIN_GRADIENT } from "#peekaboo/layers/psg-conv2d";
import type { Network } from "#peekaboo/models/network";
import { prune as pruneNetwork } from "#peekaboo/pruning/loop";
import { findPruner } from "#peekaboo/pruning/pruners/registry";
import { differingFraction, type Measurement, type Numbers, valuesLike } from "./compare.js";
import { defineKind } from "./kind.js";
import { loadState, networkSchema, unknownTensor, withNetwork } from "./network-case.js";

const schema = networkSchema.extend({
  init: z.string(),
  pruner: z.string(),
  ratio: z.number().positive().max(1),
  iterations: z.int().positive(),
  schedule: z.enum(["exponential", "linear"]),
  scope: z.enum(["global", "local"]),
});

/** The masks that a pruner leaves (docs/algorithm.md §2). */
export const prune = defineKind(schema, (params, { file, open, tolerance }) =>
  withNetwork(params, PLAIN_GRADIENT, async (network) => {
    const golden = file();
    loadState(network, open(params.init));
    const [input, target] = [golden.tensor("input"), golden.tensor("target")];
    try {
      await pruneNetwork(network, {
        pruner: findPruner(params.pruner),
        density: params.ratio,
        iterations: params.iterations,
        schedule: params.schedule,
        scope: params.scope,
        imageShape: input.shape.slice(1),
        batches: () => [{ input, target }],
      });
    } finally {
      input.dispose();
      target.dispose();
    }
    return [compareMasks(network, golden.group("mask"), tolerance)];
  }),
);

/** The differing part of all mask bits; the kept counts cannot differ by more. */
function compareMasks(network: Network, expected: ReadonlyMap<string, TensorEntry>, limit: number): Measurement {
  const layers = network.prunable();
  for (const name of expected.keys()) if (!layers.has(name)) unknownTensor(`mask.${name}`);
  const pairs = [...layers].flatMap(([name, { mask, weight }]): [Numbers, Numbers][] => {
    const entry = expected.get(name);
    // A PSG network is pruned through its plain twin, which may leave some of its prunable layers dense.
    if (entry === undefined) return mask === null ? [] : unknownTensor(`mask.${name}`);
    return [[bitsLike(entry, mask, weight, `mask.${name}`), asTypedArray(entry)]];
  });
  return { what: "of the mask bits", error: differingFraction(pairs), limit };
}

/** A layer's mask; all ones where it has none. */
function bitsLike(entry: TensorEntry, mask: Tensor | null, weight: Tensor, name: string): Numbers {
  return scope(() => (mask === null ? new Uint8Array(weight.numel).fill(1) : valuesLike(entry, mask, name)));
}
