import { expect, it } from "vitest";
import { testBatchSize } from "./evaluate-run.js";

it("small images are tested 250 at once, large ones as many as have the pixels of a small batch", () => {
  expect(testBatchSize(128, [3, 32, 32])).toBe(250);
  expect(testBatchSize(16, [3, 224, 224])).toBe(41);
});

it("large images are tested as many at once as they are trained, where that is more", () => {
  expect(testBatchSize(64, [3, 224, 224])).toBe(64);
  expect(testBatchSize(512, [3, 224, 224])).toBe(250);
});
