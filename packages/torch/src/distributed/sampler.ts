import { UserError } from "@peekaboo/files/errors";

/**
 * A rank's share of an epoch for training: places rank, rank + W, … of the order, whose tail is filled up from its
 * beginning so that every rank gets equally many, as PyTorch's DistributedSampler does it.
 */
export function shardOfEpoch(order: Int32Array, rank: number, worldSize: number): Int32Array {
  checkPlace("shardOfEpoch", rank, worldSize);
  const share = new Int32Array(Math.ceil(order.length / worldSize));
  for (let i = 0; i < share.length; i++) share[i] = order[(rank + i * worldSize) % order.length] ?? 0;
  return share;
}

/** A rank's share for evaluation: as {@link shardOfEpoch} without filling up, so that the ranks' shares are each place once. */
export function shardForEvaluation(order: Int32Array, rank: number, worldSize: number): Int32Array {
  checkPlace("shardForEvaluation", rank, worldSize);
  return order.filter((_, i) => i % worldSize === rank);
}

function checkPlace(operation: string, rank: number, worldSize: number): void {
  const whole = Number.isInteger(rank) && Number.isInteger(worldSize);
  if (whole && worldSize >= 1 && rank >= 0 && rank < worldSize) return;
  throw new UserError({
    operation,
    argument: "rank and worldSize",
    expected: "whole numbers with 0 ≤ rank < worldSize",
    received: `${rank} and ${worldSize}`,
  });
}
