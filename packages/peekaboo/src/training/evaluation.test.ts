import { liveTensorCount, nn, scope, Tensor } from "@peekaboo/torch";
import { afterEach, describe, expect, it } from "vitest";
import type { BatchSource } from "../data/batch-source.js";
import { evaluate } from "./evaluation.js";
import { alone } from "./ranks.js";

const before = liveTensorCount();
afterEach(() => {
  expect(liveTensorCount()).toBe(before);
});

/** A network whose logits are its input, and that notes in which mode it is asked. */
function echo() {
  const module = new nn.Sequential();
  const modes: boolean[] = [];
  const call = (input: Tensor) => {
    modes.push(module.training);
    return input.clone();
  };
  return { network: { module, call }, modes };
}

/** "Images" that are logits already. */
function source(logits: readonly (readonly number[])[], labels: readonly number[]): BatchSource {
  async function* plain(size: number, order: Int32Array = Int32Array.from(labels, (_, i) => i)) {
    for (let start = 0; start < order.length; start += size) {
      const own = [...order.subarray(start, start + size)];
      yield scope(() => ({
        input: Tensor.of(own.map((i) => [...(logits[i] ?? [])])),
        target: Tensor.of(own.map((i) => labels[i] ?? 0)).to({ dtype: "int64" }),
      }));
    }
  }
  return {
    count: labels.length,
    imageShape: [1, 1, 1],
    plain,
    training: (order, size) => plain(size, order),
    dispose() {},
  };
}

/** Class 6 is likeliest, class 0 least likely. */
const RISING = [0, 1, 2, 3, 4, 5, 6];

describe("evaluate", () => {
  it("counts what is right at once and among the five likeliest, over all batches", async () => {
    const { network, modes } = echo();
    const images = source(Array(5).fill(RISING), [6, 5, 2, 1, 0]);
    const done: number[] = [];
    const result = await evaluate(network, images, { batchSize: 2, onBatch: (count) => void done.push(count) });
    expect(result).toMatchObject({ images: 5, accuracy: 20, top5: 60 });
    const logSum = Math.log(RISING.reduce((sum, value) => sum + Math.exp(value), 0));
    expect(result.loss).toBeCloseTo(logSum - (6 + 5 + 2 + 1 + 0) / 5, 6);
    expect(done).toEqual([2, 4, 5]);
    expect(modes).toEqual([false, false, false]);
    expect(network.module.training).toBe(true);
  });

  it("has every class among the five likeliest where there are no more", async () => {
    const result = await evaluate(echo().network, source([[1, 0, 2]], [1]), { batchSize: 4 });
    expect(result).toMatchObject({ images: 1, accuracy: 0, top5: 100 });
  });

  it("tests its share of the images, and adds what the other ranks found", async () => {
    const images = source(Array(4).fill(RISING), [6, 0, 0, 0]);
    const other = [2, 8, 2, 2];
    const ranks = {
      ...alone,
      testShare: (order: Int32Array) => order.subarray(0, 2),
      sum: async (values: readonly number[]) => values.map((value, i) => value + (other[i] ?? 0)),
    };
    const result = await evaluate(echo().network, images, { batchSize: 4, ranks });
    const logSum = Math.log(RISING.reduce((sum, value) => sum + Math.exp(value), 0));
    expect(result).toMatchObject({ images: 4, accuracy: 75, top5: 75 });
    expect(result.loss).toBeCloseTo((2 * logSum - 6 + 8) / 4, 6);
  });

  it("hands over the images of a loss that isn't finite, and gives the mode back when that throws", async () => {
    const { network } = echo();
    const images = source([RISING, Array(7).fill(Number.NaN)], [6, 0]);
    const seen: number[] = [];
    const onNonfinite = (loss: number, input: Tensor) => {
      seen.push(loss, ...input.shape);
      throw new RangeError("stop");
    };
    await expect(evaluate(network, images, { batchSize: 1, onNonfinite })).rejects.toThrow("stop");
    expect(seen).toEqual([Number.NaN, 1, 7]);
    expect(network.module.training).toBe(true);
  });
});
