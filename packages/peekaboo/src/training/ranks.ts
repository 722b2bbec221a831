import { distributed, scope, Tensor, UserError } from "@peekaboo/torch";
import { setting } from "../setting.js";

type NamedTensors = Iterable<readonly [string, Tensor]>;

/** The processes that train one network together: each computes on its share of every batch, and gradients are averaged. */
export interface Ranks {
  readonly rank: number;
  /** How many there are. */
  readonly size: number;
  /** This rank's share of an epoch's order, equally long on all, in the order in which batches are made of it. */
  trainingShare(order: Int32Array): Int32Array;
  /** This rank's share of images of which each counts once. */
  testShare(order: Int32Array): Int32Array;
  /** The sums of the ranks' values. */
  sum(values: readonly number[]): Promise<number[]>;
  /** A flag (bool []) that is true where `flag` is on any rank; all ranks have to ask. */
  anyOf(flag: Tensor): Tensor;
  /** Gives every rank the tensors of rank 0. */
  share(tensors: NamedTensors): Promise<void>;
  /** @throws {UserError} on every rank, naming those whose tensors are not rank 0's. */
  prove(tensors: NamedTensors): Promise<void>;
  /** What averages these parameters' gradients over the ranks while a backward pass computes them. */
  averaging(parameters: NamedTensors): Averaging;
}

/** Runs a backward pass and leaves the ranks' average in every gradient. */
export interface Averaging {
  average(backward: () => void): void;
  dispose(): void;
}

/** One process alone. */
export const alone: Ranks = {
  rank: 0,
  size: 1,
  trainingShare: (order) => order,
  testShare: (order) => order,
  sum: async (values) => [...values],
  anyOf: (flag) => flag,
  share: async () => {},
  prove: async () => {},
  averaging: () => ({ average: (backward) => backward(), dispose: () => {} }),
};

/** How many images of a batch each of so many ranks takes. @throws {UserError} when they can't share it evenly. */
export function shareOfBatch(batchSize: number, ranks: number): number {
  if (batchSize % ranks === 0) return batchSize / ranks;
  throw new UserError({
    operation: "train",
    argument: setting("batchSize"),
    expected: `a multiple of the ${ranks} processes, which share each batch`,
    received: String(batchSize),
    remedy: `give ${Math.ceil(batchSize / ranks) * ranks}`,
  });
}

/** The processes of a group. */
export function ranksOf(group: distributed.ProcessGroup | null): Ranks {
  if (group === null || group.size === 1) return alone;
  const { rank, size } = group;
  return {
    rank,
    size,
    trainingShare: (order) => distributed.shardOfEpoch(order, rank, size),
    testShare: (order) => distributed.shardForEvaluation(order, rank, size),
    sum: (values) => summed(group, values),
    anyOf: (flag) =>
      scope(() =>
        group
          .allReduce(flag.to({ dtype: "int32" }))
          .wait()
          .gt(0),
      ),
    share: (tensors) => distributed.broadcastState(group, tensors),
    prove: (tensors) => distributed.assertSameState(group, tensors),
    averaging: (parameters) =>
      new distributed.GradientReducer(
        group,
        [...parameters].filter(([, { requiresGrad }]) => requiresGrad),
      ),
  };
}

async function summed(group: distributed.ProcessGroup, values: readonly number[]): Promise<number[]> {
  const tensor = summands(group, values);
  try {
    await group.allReduce(tensor);
    return Array.from<number | bigint, number>(tensor.toTypedArray(), Number);
  } finally {
    tensor.dispose();
  }
}

function summands(group: distributed.ProcessGroup, values: readonly number[]): Tensor {
  return Tensor.from(Float64Array.from(values), { device: group.backend === "nccl" ? "cuda" : "cpu" });
}
