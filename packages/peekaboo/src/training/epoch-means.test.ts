import { expect, it } from "vitest";
import { meansSchema } from "../checkpoint/progress.js";
import { EpochMeans } from "./epoch-means.js";

const step = { loss: 2, correct: 1, images: 4, flips: 3, layerFlips: new Map<string, number>(), lr: 0.1, ar: 0.01 };

it("an epoch's line has means an image and a step and the last step's rates, and each layer's flips are counted in all", () => {
  const means = new EpochMeans();
  means.add({ ...step, layerFlips: new Map(Object.entries({ a: 3, b: 0 })) }, 0.5);
  means.add(
    {
      loss: 5,
      correct: 2,
      images: 2,
      flips: 4,
      layerFlips: new Map(Object.entries({ a: 1, b: 3 })),
      lr: 0.05,
      ar: 0.005,
    },
    1.5,
  );
  expect(means.line()).toEqual({
    loss: 3,
    accuracy: 50,
    flips: 3.5,
    imagesPerSecond: 3,
    seconds: 2,
    lr: 0.05,
    ar: 0.005,
  });
  expect([...means.layerFlips]).toEqual([
    ["a", 4],
    ["b", 3],
  ]);
});

it("an epoch's line without Bop has no γ", () => {
  const means = new EpochMeans();
  means.add({ ...step, flips: 0, ar: undefined }, 1);
  expect(Object.keys(means.line())).toEqual(["loss", "accuracy", "flips", "imagesPerSecond", "seconds", "lr"]);
  expect(means.layerFlips.size).toBe(0);
});

it("skipped steps are counted apart, and in a row over the epochs' bounds", () => {
  const means = new EpochMeans();
  means.skip();
  means.add(step, 1);
  means.skip();
  means.skip();
  expect(means.line()).toMatchObject({ loss: 2, accuracy: 25, flips: 3, skipped: 3 });
  const resumed = new EpochMeans(meansSchema.parse(JSON.parse(JSON.stringify(means))));
  expect([resumed.skipped, resumed.skippedInARow, resumed.steps]).toEqual([3, 2, 1]);
  const next = resumed.following();
  next.skip();
  expect([next.skipped, next.skippedInARow, next.steps]).toEqual([1, 3, 0]);
  next.add(step, 1);
  expect([next.skippedInARow, next.following().skippedInARow]).toEqual([0, 0]);
});

it("the means of a checkpoint from before there were skipped steps have none", () => {
  const { skipped, skippedInARow, ...old } = new EpochMeans().toJSON();
  expect([skipped, skippedInARow]).toEqual([0, 0]);
  expect(new EpochMeans(meansSchema.parse(old)).skipped).toBe(0);
});
