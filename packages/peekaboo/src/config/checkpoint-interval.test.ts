import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { CheckpointClock, checkpointInterval } from "./checkpoint-interval.js";

const kind = checkpointInterval();

it.each([
  ["500", { steps: 500 }],
  ["9007199254740991", { steps: 9007199254740991 }],
  ["90s", { seconds: 90 }],
  ["5m", { seconds: 300 }],
  ["2H", { seconds: 7200 }],
  ["epoch", null],
])("%s is an interval, also after a round trip through JSON", (text, interval) => {
  expect(kind.fromText(text)).toEqual(interval);
  expect(kind.fromJson(JSON.parse(JSON.stringify(interval)))).toEqual(interval);
});

it.each(["", "0", "0s", "-3", "1.5m", "5d", "m", "999h", "1e3", "9007199254740992", "9".repeat(30)])(
  "%j is none",
  (text) => {
    expect(kind.fromText(text)).toBeUndefined();
  },
);

it("beyond the limits, these are told", () => {
  expect(kind.expected).toContain("at most seven days");
  expect(kind.remedy?.("9".repeat(30))).toContain("9007199254740991");
  expect(kind.remedy?.("5d")).toBeUndefined();
});

it.each([[{}], [{ steps: 0 }], [{ steps: 1, seconds: 1 }], [{ hours: 1 }], ["5m"], [7], [[]]])(
  "%j is none in JSON",
  (json) => expect(kind.fromJson(json)).toBeUndefined(),
);

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it("a clock of steps strikes at their multiples, one of seconds that long after the last checkpoint", () => {
  const steps = new CheckpointClock({ steps: 3 });
  expect([1, 2, 3, 4, 5, 6].filter((step) => steps.isDue(step))).toEqual([3, 6]);
  const seconds = new CheckpointClock({ seconds: 90 });
  vi.advanceTimersByTime(60_000);
  expect(seconds.isDue(1)).toBe(false);
  seconds.reset();
  vi.advanceTimersByTime(89_000);
  expect(seconds.isDue(1)).toBe(false);
  vi.advanceTimersByTime(1_000);
  expect(seconds.isDue(1)).toBe(true);
  expect(new CheckpointClock(null).isDue(1)).toBe(false);
});
