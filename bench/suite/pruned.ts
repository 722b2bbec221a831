// What the two benches of pruning share.
import { buildNetwork } from "#peekaboo/models/build";
import type { Network } from "#peekaboo/models/network";
import type { Workload } from "./workloads.js";

/** What is pruned to, as a user would. */
export const TARGET = { density: 0.3, schedule: "exponential", scope: "global" } as const;

/** The network as the product has it. */
export const plainNetwork = ({ arch, width, numClasses, imageShape }: Workload): Network =>
  buildNetwork(arch, { width, numClasses, imageShape });

/** A float64 network in evaluation mode, and what its gradients are by. */
export function doubled(network: Network) {
  network.module.to({ dtype: "float64" }).eval();
  return { network, weights: [...network.prunable().values()].map(({ weight }) => weight) };
}
