import { noGrad, scope, Tensor } from "@peekaboo/torch";
import { z } from "zod";
import { PLAIN_GRADIENT } from "#peekaboo/layers/psg-conv2d";
import type { Network } from "#peekaboo/models/network";
import { type Measurement, relativeError } from "./compare.js";
import { fillValues } from "./fill.js";
import { defineKind } from "./kind.js";
import { networkSchema, withNetwork } from "./network-case.js";

const schema = networkSchema.required({ inputShape: true }).extend({
  salt: z.string(),
  /** Names and shapes in the state's order. */
  state: z.array(z.tuple([z.string(), z.array(z.int().nonnegative())])),
  prunable: z.array(z.string()),
  /** How many numbers Bop owns; null where it takes no part. */
  bop: z.int().nonnegative().nullable().default(null),
  /** The first few of each image's. */
  logits: z.array(z.array(z.number()).min(1)).min(1),
});

type Params = z.output<typeof schema>;

/** A network's state, what of it is prunable, and its logits in evaluation mode. */
export const architecture = defineKind(schema, (params, { tolerance }) =>
  withNetwork(params, PLAIN_GRADIENT, (network) => {
    const structure = [compareState(network, params), comparePrunable(network, params), ...compareBop(network, params)];
    // Without the right state there are no logits to compare.
    if (structure.some(({ error }) => error > 0)) return structure;
    return [...structure, compareLogits(network, params, tolerance)];
  }),
);

function compareState(network: Network, { state }: Params): Measurement {
  const describe = (name: string, shape: readonly number[]) => `${name} [${shape.join(", ")}]`;
  const actual = [...network.module.stateDict()].map(([name, { shape }]) => describe(name, shape));
  return compareNames(
    "state",
    actual,
    state.map(([name, shape]) => describe(name, shape)),
  );
}

function comparePrunable(network: Network, { prunable }: Params): Measurement {
  return compareNames("prunable", [...network.prunable().keys()].sort(), [...prunable].sort());
}

function compareBop(network: Network, { bop }: Params): Measurement[] {
  if (bop === null) return [];
  const owned = [...network.bopParameters().values()].reduce((sum, { numel }) => sum + numel, 0);
  return [{ what: `numbers too many or too few that Bop owns`, error: Math.abs(owned - bop), limit: 0 }];
}

/** How many places of two lists differ, with the first difference. */
function compareNames(what: string, actual: readonly string[], expected: readonly string[]): Measurement {
  const places = Array.from({ length: Math.max(actual.length, expected.length) }, (_, i) => i);
  const different = places.filter((i) => actual[i] !== expected[i]);
  const [i] = different;
  const first = i === undefined ? "" : `: ${actual[i] ?? "nothing"} instead of ${expected[i] ?? "nothing"}`;
  return { what: `differing ${what} entries${first}`, error: different.length, limit: 0 };
}

function compareLogits(network: Network, { salt, inputShape, logits }: Params, limit: number): Measurement {
  const expected = logits.flat();
  const actual = noGrad(() =>
    scope(() => {
      for (const [name, tensor] of network.module.stateDict())
        scope(() => tensor.copy_(filled(salt, name, tensor.shape)));
      network.module.eval();
      const rows = network.call(filled(salt, "input", inputShape));
      return rows.narrow(1, 0, logits[0]?.length ?? 0).toFloat32Array();
    }),
  );
  const error = actual.length === expected.length ? relativeError(actual, expected) : Number.NaN;
  return { what: "logits", error, limit };
}

function filled(salt: string, name: string, shape: readonly number[]): Tensor {
  return Tensor.from(fillValues(salt, name, shape), { shape, share: true });
}
