import { describe, expect, it } from "vitest";
import { BEGINNING, progressSchema } from "../checkpoint/progress.js";
import { RunState, runLength } from "./run-state.js";

const LENGTH = { stepsPerEpoch: 3, totalSteps: 8 };
const step = {
  loss: 2,
  correct: 1,
  images: 4,
  flips: 3,
  layerFlips: new Map(Object.entries({ a: 3 })),
  lr: 0.1,
  ar: 0.01,
};

/** Counts so many steps of half a second, epoch after epoch. */
function train(state: RunState, steps: number): void {
  for (let i = 0; i < steps; i++) {
    if (state.epochIsOver || state.step === 0) state.enterEpoch();
    state.beginSteps();
    state.add(step, 0.5);
  }
}

describe("the length of a run", () => {
  it("counts an epoch's last batch, though it is smaller", () => {
    expect(runLength({ epochs: 2, batchSize: 4, maxSteps: null }, 9)).toEqual({ stepsPerEpoch: 3, totalSteps: 6 });
  });

  it("ends at --max-steps, unless the epochs end before", () => {
    const images = 9;
    expect(runLength({ epochs: 2, batchSize: 4, maxSteps: 4 }, images).totalSteps).toBe(4);
    expect(runLength({ epochs: 2, batchSize: 4, maxSteps: 7 }, images).totalSteps).toBe(6);
  });
});

describe("where a run stands", () => {
  it("begins before the first step, saved and tested as far as it goes", () => {
    const state = new RunState(LENGTH);
    expect(state.position).toEqual({ epoch: 0, step: 0, totalSteps: 8 });
    expect([state.saved, state.tested, state.isOver, state.epochIsOver]).toEqual([true, true, false, false]);
    expect([state.epochs, state.imagesPerSecond]).toEqual([3, 0]);
    expect(state.progress(0)).toEqual({ ...BEGINNING, means: state.means.toJSON() });
  });

  it("goes from step to step and epoch to epoch, the last of which is short", () => {
    const state = new RunState(LENGTH);
    const seen: unknown[] = [];
    while (!state.isOver) {
      train(state, 1);
      seen.push([state.epoch, state.step, state.epochStep, state.epochSteps, state.epochIsOver]);
    }
    expect(seen).toEqual([
      [0, 1, 1, 3, false],
      [0, 2, 2, 3, false],
      [0, 3, 3, 3, true],
      [1, 4, 1, 3, false],
      [1, 5, 2, 3, false],
      [1, 6, 3, 3, true],
      [2, 7, 1, 2, false],
      [2, 8, 2, 2, true],
    ]);
    expect([state.flips, state.imagesPerSecond]).toEqual([24, 8]);
  });

  it("has means of its own epoch alone", () => {
    const state = new RunState(LENGTH);
    train(state, 3);
    expect(state.means.steps).toBe(3);
    state.enterEpoch();
    expect(state.means.steps, "until the next epoch's steps begin").toBe(3);
    state.beginSteps();
    expect(state.means.steps).toBe(0);
    train(state, 1);
    state.beginSteps();
    expect(state.means.steps, "in the midst of an epoch").toBe(1);
  });

  it("comes back from a checkpoint's progress with all that it counted", () => {
    const state = new RunState(LENGTH);
    state.pruned();
    train(state, 3);
    state.judge(12.5);
    train(state, 1);
    state.skip();
    const kept = state.progress(321);
    expect(kept).toMatchObject({ epoch: 1, step: 5, tested: false, shots: 1, bestAccuracy: 12.5, bestEpoch: 0 });
    expect(kept).toMatchObject({ flips: 12, metricsBytes: 321, means: { steps: 1, skipped: 1, layerFlips: { a: 3 } } });

    const resumed = new RunState(LENGTH, progressSchema.parse(JSON.parse(JSON.stringify(kept))));
    expect(resumed.progress(321)).toEqual(kept);
    expect(resumed.saved).toBe(true);
    for (const one of [state, resumed]) train(one, 2);
    expect(resumed.progress(400)).toEqual(state.progress(400));
  });

  it("knows a best accuracy once it was tested, and keeps it until a higher one", () => {
    const state = new RunState(LENGTH);
    expect([state.best.accuracy, state.progress(0).bestAccuracy]).toEqual([Number.NEGATIVE_INFINITY, null]);
    expect(state.judge(0)).toBe(true);
    train(state, 4);
    expect(state.tested).toBe(false);
    expect([state.judge(0), state.tested, state.best.epoch]).toEqual([false, true, 0]);
    expect([state.judge(1), state.best]).toEqual([true, { accuracy: 1, epoch: 1 }]);
  });

  it("is no longer saved after a step, but after one that was skipped", () => {
    const state = new RunState(LENGTH);
    state.skip();
    expect([state.step, state.saved, state.tested]).toEqual([1, true, false]);
    state.add(step, 0.5);
    expect(state.saved).toBe(false);
    state.wasSaved();
    expect(state.saved).toBe(true);
  });

  it("expects the rest to take as long a step as this process's steps took", () => {
    const state = new RunState(LENGTH, { ...BEGINNING, epoch: 0, step: 2 });
    expect(state.secondsLeft(5), "before its first step").toBe(30);
    train(state, 2);
    expect(state.secondsLeft(10)).toBe(20);
    train(state, 4);
    expect(state.secondsLeft(30)).toBe(0);
  });
});

describe("a run that was tested amid an epoch", () => {
  /** After four steps, with the length that it had before. */
  function shorter(): RunState {
    const state = new RunState({ stepsPerEpoch: 3, totalSteps: 4 });
    train(state, 4);
    state.judge(1);
    return state;
  }
  const kept = (state: RunState) => progressSchema.parse(JSON.parse(JSON.stringify(state.progress(0))));

  it("is none as long as it is at its end, and tells the step once it is made longer", () => {
    expect(kept(shorter()).pauses).toBeUndefined();
    const longer = new RunState(LENGTH, kept(shorter()));
    expect(kept(longer).pauses).toEqual([4]);
    expect([longer.isDone, longer.epochSteps, longer.epochIsOver]).toEqual([false, 3, false]);
    train(longer, 2);
    longer.judge(1);
    expect(kept(longer).pauses, "the end of an epoch is no such step").toEqual([4]);
  });

  it("is repeated with a test at that step, and tells the same", () => {
    const state = new RunState(LENGTH, BEGINNING, [4]);
    train(state, 3);
    state.judge(1);
    train(state, 1);
    expect([state.step, state.epochSteps, state.epochIsOver]).toEqual([4, 1, true]);
    state.judge(1);
    expect([state.epochSteps, state.epochIsOver]).toEqual([3, false]);
    expect(kept(state).pauses).toEqual([4]);
    expect(state.means.steps, "of the epoch so far").toBe(1);
    train(state, 2);
    expect([state.step, state.epochIsOver, state.means.steps]).toEqual([6, true, 3]);
  });

  it("has nothing left to do where it is asked for less, without another test", () => {
    const less = (totalSteps: number) => new RunState({ stepsPerEpoch: 3, totalSteps }, kept(shorter())).isDone;
    expect([2, 3, 4, 5].map(less)).toEqual([true, true, true, false]);
    const untested = { ...kept(shorter()), tested: false };
    expect(new RunState({ stepsPerEpoch: 3, totalSteps: 4 }, untested).isDone, "its test is left").toBe(false);
  });
});
