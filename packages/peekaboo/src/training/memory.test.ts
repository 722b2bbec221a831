import { liveTensorCount, TorchError, UserError, zeros } from "@peekaboo/torch";
import { expect, it } from "vitest";
import type { Batch } from "../data/batch.js";

import { isOutOfMemory } from "../native/memory.js";
import { batchTooLarge, largestFitting } from "./memory.js";

const text = "can't allocate memory: you tried to allocate 536870912 bytes. Error code 12 (Cannot allocate memory)";
const failure = new TorchError("memory", "aten::batch_norm", undefined, text);

it("only memory that was not to be had is a lack of memory", () => {
  expect(isOutOfMemory(failure)).toBe(true);
  expect(isOutOfMemory(new TorchError("torch", "aten::add", undefined, text))).toBe(false);
  expect(isOutOfMemory(new Error(text))).toBe(false);
  expect(isOutOfMemory(new RangeError("Invalid array length"))).toBe(false);
  expect(() => new ArrayBuffer(2 ** 52)).toThrow(expect.toSatisfy(isOutOfMemory));
});

/** What is tried with fewer images, and which were; batches beyond `most` can't be made, steps beyond `limit` not taken. */
function attempt(limit: number, most = limit) {
  const tried: number[] = [];
  const made: Batch[] = [];
  async function* batches(images: number) {
    tried.push(images);
    if (images > most) throw failure;
    const batch = { input: zeros([images, 1]), target: zeros([images], { dtype: "int64" }) };
    made.push(batch);
    yield batch;
    throw new Error("a second batch was asked for");
  }
  const step = ({ target }: Batch) => {
    if (target.numel > limit) throw failure;
  };
  return { batches, step, tried, made };
}

it("batches are halved until one fits, and none of them is kept", async () => {
  const live = liveTensorCount();
  const { tried, made, ...found } = attempt(13, 30);
  expect(await largestFitting(100, found)).toBe(12);
  expect([tried, made.length]).toEqual([[50, 25, 12], 2]);
  expect(await largestFitting(100, attempt(0, 100))).toBe(0);
  expect(await largestFitting(1, attempt(1))).toBe(0);
  expect(liveTensorCount()).toBe(live);
});

it("numbers that are not finite take as much memory as others; any other failure stays one", async () => {
  const thrower = (error: Error) => ({
    ...attempt(4),
    step: () => {
      throw error;
    },
  });
  const parts = { operation: "train", argument: "the loss", expected: "a finite one", received: "NaN" };
  expect(await largestFitting(8, thrower(new UserError(parts)))).toBe(4);
  await expect(largestFitting(8, thrower(new TypeError("x")))).rejects.toThrow(TypeError);
});

it("the user is told the bytes, and the batch that fits", () => {
  expect(batchTooLarge(failure, 8192, 2048)).toBeInstanceOf(UserError);
  expect(batchTooLarge(failure, 8192, 2048).message).toBe(
    "train: expected a batch that fits in memory for `batchSize`, received 8192, for which 536870912 bytes could not be had; give `batchSize` 2048, which fits.",
  );
  expect(batchTooLarge(failure, 8, 0).message).toMatch(/a batch of 1 doesn't fit either: lower `width`\.$/);
  expect(batchTooLarge(failure, 1, 0).message).toMatch(/could not be had; lower `width`\.$/);
  expect(batchTooLarge(failure, 8).message).toMatch(/give a smaller one\.$/);
  expect(batchTooLarge(failure, 4, undefined, 4).message).toMatch(/lower `width`, or train in fewer processes\.$/);
});
