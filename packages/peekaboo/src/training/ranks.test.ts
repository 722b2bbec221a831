import { UserError } from "@peekaboo/torch";
import { expect, it } from "vitest";
import { shareOfBatch } from "./ranks.js";

it("ranks take equal shares of a batch", () => {
  expect(shareOfBatch(128, 1)).toBe(128);
  expect(shareOfBatch(128, 4)).toBe(32);
});

it("a batch that can't be shared evenly is refused, with the next that can", () => {
  expect(() => shareOfBatch(10, 4)).toThrow(UserError);
  expect(() => shareOfBatch(10, 4)).toThrow(
    "train: expected a multiple of the 4 processes, which share each batch for `batchSize`, received 10; give 12.",
  );
});
