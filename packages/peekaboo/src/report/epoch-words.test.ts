import { expect, it } from "vitest";
import { epochInWords, stepInWords } from "./epoch-words.js";

const epoch = {
  epoch: 1,
  means: {
    loss: 1.23456,
    accuracy: 61.789,
    flips: 1234.6,
    layerFlips: new Map<string, number>(),
    imagesPerSecond: 987.2,
  },
  result: { images: 8, loss: 1.5, accuracy: 58.125, top5: 91.111 },
  best: false,
  numClasses: 10,
  secondsLeft: 0,
};

it("a step is told with its place in the epoch", () => {
  const result = { loss: 1.23456, correct: 3, images: 8, flips: 12_345 };
  expect(stepInWords({ epoch: 1, epochStep: 20, epochSteps: 50 }, result)).toBe(
    "Epoch 2, step 20 of 50: loss 1.2346, accuracy 37.50 %, 12,345 flips",
  );
});

it("an epoch is told with its means and its test", () => {
  expect(epochInWords(epoch)).toBe(
    "Epoch 2: train loss 1.235, accuracy 61.79 %, 1,235 flips a step, 987 images/s; test loss 1.500, accuracy 58.13 %",
  );
});

it("top-5 accuracy is told of a hundred classes and more, the best test is marked, and the time left said", () => {
  const told = (more: Partial<typeof epoch>) => epochInWords({ ...epoch, ...more }).replace(/.*; /, "");
  expect(told({ numClasses: 99 })).not.toMatch(/top-5/);
  expect(told({ numClasses: 100 })).toBe("test loss 1.500, accuracy 58.13 %, top-5 91.11 %");
  expect(told({ best: true, secondsLeft: 100 })).toBe("test loss 1.500, accuracy 58.13 % (best), about 1m 40s left");
});
