import { TorchError, UserError } from "@peekaboo/torch";
import { expect, it } from "vitest";
import { batchTooLarge, isOutOfMemory, largestFitting } from "./memory.js";

const text = "can't allocate memory: you tried to allocate 536870912 bytes. Error code 12 (Cannot allocate memory)";
const failure = new TorchError("memory", "aten::batch_norm", undefined, text);

it("only memory that was not to be had is a lack of memory", () => {
  expect(isOutOfMemory(failure)).toBe(true);
  expect(isOutOfMemory(new TorchError("torch", "aten::add", undefined, text))).toBe(false);
  expect(isOutOfMemory(new Error(text))).toBe(false);
});

it("batches are halved until one fits", () => {
  const tried: number[] = [];
  const fits = (limit: number) => (images: number) => {
    tried.push(images);
    return images <= limit;
  };
  expect(largestFitting(100, fits(13))).toBe(12);
  expect(tried).toEqual([50, 25, 12]);
  expect(largestFitting(100, fits(0))).toBe(0);
  expect(largestFitting(1, fits(1))).toBe(0);
});

it("the user is told the bytes, and the batch that fits", () => {
  expect(batchTooLarge(failure, 8192, 2048)).toBeInstanceOf(UserError);
  expect(batchTooLarge(failure, 8192, 2048).message).toBe(
    "train: expected a batch that fits in memory for --bs, received 8192, for which 536870912 bytes could not be had; give --bs 2048, which fits.",
  );
  expect(batchTooLarge(failure, 8, 0).message).toMatch(/a batch of 1 doesn't fit either: lower --width\.$/);
  expect(batchTooLarge(failure, 8).message).toMatch(/give a smaller one\.$/);
});
