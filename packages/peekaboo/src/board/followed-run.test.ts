import { readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { FileLock } from "@peekaboo/files";
import { expect } from "vitest";
import { it } from "../../../../tests/support/folder.js";
import { parseConfig } from "../config/config.js";
import type { Metrics } from "../runs/metrics.js";
import { FollowedRun } from "./followed-run.js";
import { append, makeRun, someSteps } from "./runs.support.js";

const layers = [
  { name: "conv1.weight", kept: 5, total: 1000 },
  { name: "conv2.weight", kept: 300, total: 1000 },
];
const pruning: Metrics = {
  kind: "prune",
  epoch: 0,
  shot: 0,
  pruner: "Mag",
  density: 0.3,
  kept: 305,
  total: 2000,
  seconds: 1,
  layers,
};
const rest: Metrics[] = [
  { kind: "epoch", epoch: 0, step: 100, loss: 2, accuracy: 30, flips: 9, imagesPerSecond: 400, seconds: 2, lr: 0.1 },
  { kind: "flips", epoch: 0, step: 100, layers: [{ name: "conv1.weight", flips: 7, kept: 5 }] },
  { kind: "eval", epoch: 0, step: 100, loss: 1.9, accuracy: 33, best: true },
  { kind: "eval", epoch: 1, step: 200, loss: 1.8, accuracy: 31, best: false },
  { kind: "skip", epoch: 1, step: 201, what: "loss", where: "conv2" },
];

function readOn(run: FollowedRun): void {
  run.look();
  run.lookAround();
  while (run.file.isBehind) run.read();
}

it("sums a run up: steps, tests, time left, what it keeps, and what is odd", ({ folder }) => {
  const path = makeRun(folder, "run", [pruning, ...someSteps(1, 200), ...rest]);
  writeFileSync(join(path, "config.json"), JSON.stringify(parseConfig({ epochs: 4, batchSize: 100 })));
  writeFileSync(join(path, "run.lock"), "");
  append(path, "no metrics\n");
  const run = new FollowedRun(3, "run", path);
  readOn(run);
  const summary = run.summary(["epochs"]);
  expect(summary).toMatchObject({
    ...{ id: 3, name: "run", state: "running", read: 1, step: 200, totalSteps: 400, kept: 305, total: 2000 },
    test: { step: 200, loss: 1.8, accuracy: 31 },
    best: { step: 100, loss: 1.9, accuracy: 33 },
    settings: { epochs: "4" },
    ...{ hasPicture: false, hasNetwork: false },
  });
  expect(summary.secondsLeft).toBeCloseTo(50, 0);
  expect(summary.warnings).toEqual([
    "skipped steps: 1; the last at step 201, where the loss was not finite: conv2",
    expect.stringContaining("less than 1 % is kept of conv1.weight"),
    "damaged lines of metrics.jsonl, left out: 1",
  ]);
  expect(run.figures.layers()).toEqual({
    prunings: [{ epoch: 0, pruner: "Mag", layers }],
    flips: { epochs: [{ first: 0, last: 0 }], layers: [{ name: "conv1.weight", kept: 5, flips: [7] }] },
  });
  rmSync(join(path, "run.lock"));
  expect(run.lookAround()).toBe(true);
  expect(run.summary([]).state).toBe("stopped");
});

it("runs as long as its process lives, and on another machine for a minute after its lock was touched", async ({
  folder,
}) => {
  const path = makeRun(folder, "run", someSteps(1, 10));
  const lock = join(path, "run.lock");
  const run = new FollowedRun(1, "run", path);
  const state = () => {
    readOn(run);
    return run.summary([]).state;
  };
  const age = () => utimesSync(lock, new Date(0), new Date(0));
  const onHeld = () => expect.unreachable();
  using _held = await FileLock.acquire(lock, { operation: "train", onHeld });
  age();
  expect(state()).toBe("running");
  const holder = JSON.parse(readFileSync(lock, "utf8"));
  writeFileSync(lock, JSON.stringify({ ...holder, began: "1" }));
  expect(state()).toBe("stopped");
  writeFileSync(lock, JSON.stringify({ ...holder, began: "1", place: "elsewhere" }));
  expect(state()).toBe("running");
  age();
  expect(state()).toBe("stopped");
});

it("tells the newest of a long file before all of it is read", ({ folder }) => {
  const run = new FollowedRun(1, "long", makeRun(folder, "long", someSteps(1, 20_000)));
  run.look();
  expect(run.summary([]).step).toBe(20_000);
  expect(run.summary([]).read).toBe(0);
});
