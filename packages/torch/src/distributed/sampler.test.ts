import { UserError } from "@peekaboo/files/errors";
import { describe, expect, it } from "vitest";
import { shardForEvaluation, shardOfEpoch } from "./sampler.js";

const order = Int32Array.of(4, 2, 9, 7, 1, 0, 3);
const shares = (share: typeof shardOfEpoch, worldSize: number, of = order) =>
  Array.from({ length: worldSize }, (_, rank) => [...share(of, rank, worldSize)]);

describe("shardOfEpoch", () => {
  it("interleaves the order and fills the tail from its beginning, as DistributedSampler", () => {
    expect(shares(shardOfEpoch, 3)).toEqual([
      [4, 7, 3],
      [2, 1, 4],
      [9, 0, 2],
    ]);
  });

  it("repeats nothing where the ranks divide the order, and the whole order where there are more ranks than items", () => {
    expect(shares(shardOfEpoch, 7).flat()).toEqual([...order]);
    expect(shares(shardOfEpoch, 5, Int32Array.of(8, 6))).toEqual([[8], [6], [8], [6], [8]]);
    expect(shares(shardOfEpoch, 2, Int32Array.of())).toEqual([[], []]);
  });
});

describe("shardForEvaluation", () => {
  it("gives each place to one rank, once", () => {
    expect(shares(shardForEvaluation, 3)).toEqual([
      [4, 7, 3],
      [2, 1],
      [9, 0],
    ]);
  });
});

it.each([
  [-1, 2],
  [2, 2],
  [0.5, 2],
  [0, 0],
])("rank %d of %d is refused", (rank, worldSize) => {
  expect(() => shardOfEpoch(order, rank, worldSize)).toThrow(UserError);
  expect(() => shardForEvaluation(order, rank, worldSize)).toThrow(UserError);
});
