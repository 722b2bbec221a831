import { TorchError, zeros } from "@peekaboo/torch";
import { expect, it } from "vitest";
import type { Batch } from "../data/batch.js";

import { NonfiniteError } from "./nonfinite-error.js";
import { alone } from "./ranks.js";
import { tooLarge } from "./too-large.js";
import type { StepResult } from "./trainer.js";

const POSITION = { epoch: 1, step: 6, totalSteps: 20 };
const ORDER = Int32Array.from({ length: 100 }, (_, i) => 99 - i);
const CAUSE = new TorchError("memory", "aten::conv2d", undefined, "you tried to allocate 4096 bytes");
const RESULT: StepResult = {
  ...{ loss: 2, correct: 1, images: 4, flips: 3 },
  ...{ layerFlips: new Map(), lr: 0.1, ar: undefined },
};

/** A run with memory for `most` images, the figures of whose steps are `below`'s. */
function makeRun(most: number, below: () => StepResult = () => RESULT) {
  const tried: number[] = [];
  const asked: (readonly [number[], number])[] = [];
  async function* training(indices: Int32Array, size: number): AsyncGenerator<Batch> {
    asked.push([[...indices], size]);
    yield { input: zeros([size, 1]), target: zeros([size], { dtype: "int64" }) };
  }
  const step = ({ target }: Batch) => {
    tried.push(target.numel);
    if (target.numel > most) throw CAUSE;
    return below();
  };
  const config = { batchSize: 8, seed: 0 };
  const parts = {
    config,
    ranks: alone,
    train: { training },
    trainer: { step },
    reporter: {},
    state: { epoch: 1, position: POSITION },
  };
  return { parts, tried, asked };
}

it.each([
  ["finite", () => RESULT],
  [
    "not finite",
    () => {
      throw NonfiniteError.gradient("conv1.weight", POSITION, { sgd: { lr: 0.1 } });
    },
  ],
])(
  "a batch that doesn't fit is told with one that does, found with steps of fewer images, their numbers being %s",
  async (_, below) => {
    const { parts, tried, asked } = makeRun(3, below);
    const said: string[] = [];
    const reporter = { note: (text: string) => void said.push(text) };
    const error = await tooLarge({ ...parts, reporter }, CAUSE, ORDER);
    expect(error.message).toContain("8, for which 4096 bytes could not be had; give `batchSize` 2, which fits");
    expect(tried).toEqual([4, 2]);
    expect(asked[1]).toEqual([[99, 98], 2]);
    expect(said).toEqual(["a batch of 8 images doesn't fit in memory; looking for one that does."]);
  },
);

it("the search begins below what is left of the epoch", async () => {
  const { parts, tried } = makeRun(3);
  await tooLarge(parts, CAUSE, ORDER.subarray(0, 5));
  expect(tried).toEqual([2]);
});

it("none is looked for where several ranks train, for the others would wait", async () => {
  const { parts, tried } = makeRun(3);
  const said: string[] = [];
  const reporter = { note: (text: string) => void said.push(text) };
  const error = await tooLarge({ ...parts, reporter, ranks: { ...alone, size: 2 } }, CAUSE, ORDER);
  expect(error.message).toContain("give a smaller one");
  expect([tried, said]).toEqual([[], []]);
});
