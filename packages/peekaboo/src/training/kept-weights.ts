import { ops, scope, type Tensor } from "@peekaboo/torch";
import type { Network } from "../models/network.js";
import { readTogether } from "../read-together.js";

/** How many numbers of each of Bop's parameters may flip: those that aren't pruned away. */
export function keptWeights(network: Network): Map<string, number> {
  const masks = network.masks();
  const maskOf = (name: string): Tensor | undefined => masks.get(name.replace(/\.t$/, ".weight"));
  const parameters = [...network.bopParameters()];
  const masked = parameters.flatMap(([name]) => maskOf(name) ?? []);
  const counts = scope(() => (masked.length === 0 ? [] : readTogether([ops.stack(masked.map((mask) => mask.sum()))])));
  const [ones = []] = counts;
  let next = 0;
  return new Map(
    parameters.map(([name, { numel }]) => [name, maskOf(name) === undefined ? numel : (ones[next++] ?? 0)]),
  );
}
