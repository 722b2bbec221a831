import { Tensor } from "@peekaboo/torch";
import { describe, expect, it } from "vitest";
import { parseConfig } from "../config/config.js";
import type { Batch } from "../data/batch.js";

import { NonfiniteError } from "./nonfinite-error.js";
import { alone, type Ranks } from "./ranks.js";
import type { Position } from "./rates.js";
import { SharedStep } from "./shared-step.js";
import type { StepResult } from "./trainer.js";

const POSITION = { epoch: 1, step: 6, totalSteps: 20 };
const RESULT: StepResult = {
  loss: 2,
  correct: 1,
  images: 4,
  flips: 3,
  layerFlips: new Map(),
  lr: 0.1,
  ar: undefined,
};
const NONFINITE = NonfiniteError.gradient("conv1.weight", POSITION, { sgd: { lr: 0.1 } });

function makeBatch(images = 8): Batch {
  return {
    input: Tensor.from(Float32Array.from({ length: images }), { shape: [images, 1] }),
    target: Tensor.from(new BigInt64Array(images)),
  };
}

/** Of two, the other of which has these values. */
function besides(other: readonly number[], sent: number[][] = []): Ranks {
  const sum = async (values: readonly number[]) => {
    sent.push([...values]);
    return values.map((value, i) => value + (other[i] ?? 0));
  };
  return { ...alone, size: 2, sum };
}

interface Setting {
  trainer(batch: Batch, position: Position): StepResult;
  ranks?: Ranks;
  onNan?: "stop" | "skip-batch";
  signal?: "SIGINT";
  isDue?(step: number): boolean;
}

function makeStep({ trainer, ranks = alone, onNan = "stop", signal, isDue = () => false }: Setting) {
  const guard = { signal: new AbortController().signal, pending: async () => signal, check: async () => {} };
  const config = parseConfig({ batchSize: 8, onNan });
  const step = new SharedStep({ config, ranks, guard, trainer: { step: trainer }, checkpoints: { isDue } });
  return { step };
}

const failing = (error: Error) => () => {
  throw error;
};

describe("a step", () => {
  it("is that of one rank where there is one, and uses the batch up", async () => {
    const batch = makeBatch();
    const { step } = makeStep({ trainer: () => RESULT });
    expect(await step.take(batch, POSITION)).toEqual({ ...RESULT, stop: false, save: false });
    expect(() => batch.input.item()).toThrow();
    expect(() => batch.target.item()).toThrow();
  });

  it("tells that a signal came, and that a checkpoint is due after it", async () => {
    const asked: number[] = [];
    const isDue = (step: number) => asked.push(step) > 0;
    const { step } = makeStep({ trainer: () => RESULT, signal: "SIGINT", isDue });
    expect(await step.take(makeBatch(), POSITION)).toMatchObject({ stop: true, save: true });
    expect(asked).toEqual([7]);
  });

  it("has the loss and the counts of all ranks' images, and stops or saves when one rank says so", async () => {
    const sent: number[][] = [];
    const { step } = makeStep({ trainer: () => RESULT, ranks: besides([60, 5, 12, 1, 0], sent) });
    expect(await step.take(makeBatch(), POSITION)).toEqual({
      ...{ ...RESULT, loss: 68 / 16, correct: 6, images: 16 },
      ...{ stop: true, save: false },
    });
    expect(sent).toEqual([[8, 1, 4, 0, 0]]);
  });
});

describe("a step whose numbers are not finite", () => {
  it("is skipped with --on-nan skip-batch, on all ranks at once", async () => {
    const sent: number[][] = [];
    const trainer = failing(NONFINITE);
    const { step } = makeStep({ trainer, onNan: "skip-batch", ranks: besides([0, 1], sent) });
    expect(await step.take(makeBatch(), POSITION)).toEqual({ skipped: NONFINITE, stop: false, save: true });
    expect(sent).toEqual([[0, 0]]);
  });

  it("is an error otherwise", async () => {
    const batch = makeBatch();
    await expect(makeStep({ trainer: failing(NONFINITE) }).step.take(batch, POSITION)).rejects.toBe(NONFINITE);
    expect(() => batch.input.item()).toThrow();
  });
});
