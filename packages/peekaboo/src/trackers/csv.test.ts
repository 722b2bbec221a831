import fs from "node:fs";
import { join } from "node:path";
import { UserError } from "@peekaboo/files/errors";
import { afterEach, describe, expect, vi } from "vitest";
import { it } from "../../../../tests/support/folder.js";
import { parseConfig } from "../config/config.js";
import { type Metrics, MetricsWriter } from "../runs/metrics.js";
import { type RunFolder, runFolder } from "../runs/run-folder.js";
import { openTrackers } from "./open-trackers.js";

let run: RunFolder;
it.beforeEach(({ folder }) => {
  run = runFolder({ savedir: folder, expName: "." });
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

const step = (number: number): Metrics => ({
  ...{ kind: "step", epoch: 0, step: number, loss: 2.25, accuracy: 12.5, flips: 31, imagesPerSecond: 480, lr: 0.1 },
  ar: 1e-7,
});
const skipped: Metrics = { kind: "skip", epoch: 0, step: 2, what: "loss", where: "the images, of which 1" };
const epoch: Metrics = {
  ...{ kind: "epoch", epoch: 0, step: 2, loss: 2.25, accuracy: 12.5, flips: 31, imagesPerSecond: 480, lr: 0.1 },
  ...{ seconds: 0.5, skipped: 1 },
};
const tested: Metrics = { kind: "eval", epoch: 0, step: 2, loss: 1.5, accuracy: 45.25, top5: 90, best: true };

const STEPS = "epoch,step,loss,accuracy,flips,imagesPerSecond,lr,ar\n";
const EPOCHS =
  "epoch,step,loss,accuracy,flips,imagesPerSecond,lr,ar,seconds,skipped,testLoss,testAccuracy,testTop5,best\n";

const csv = () => [run.steps, run.epochs].map((path) => fs.readFileSync(path, "utf8"));

/** Writes the lines of a part of a run, from an offset of its metrics on; gives the offset at its end. */
async function part(lines: readonly Metrics[], offset = 0): Promise<number> {
  using metrics = new MetricsWriter(run.metrics, { offset });
  using log = await openTrackers(metrics, run, parseConfig({ log: ["csv"] }));
  for (const line of lines) log.write(line);
  return log.offset;
}

describe("CSV", () => {
  it("has a row for each step and for each epoch with its test, and nothing for what is absent", async () => {
    await part([step(1), skipped, epoch, tested]);
    expect(csv()).toEqual([
      `${STEPS}0,1,2.25,12.5,31,480,0.1,1e-7\n0,2,,,,,,\n`,
      `${EPOCHS}0,2,2.25,12.5,31,480,0.1,,0.5,1,1.5,45.25,90,true\n`,
    ]);
  });

  it("of a run that goes on is what its metrics tell, whatever came after the checkpoint or before CSV was asked for", async () => {
    const offset = await part([step(1), skipped, epoch, tested]);
    await part([step(7), step(8)], offset);
    fs.appendFileSync(run.steps, "0,9,to");
    fs.rmSync(run.epochs);
    await part([step(3)], offset);
    expect(csv()).toEqual([
      `${STEPS}0,1,2.25,12.5,31,480,0.1,1e-7\n0,2,,,,,,\n0,3,2.25,12.5,31,480,0.1,1e-7\n`,
      `${EPOCHS}0,2,2.25,12.5,31,480,0.1,,0.5,1,1.5,45.25,90,true\n`,
    ]);
  });

  it("is written before a checkpoint, and at a line after five seconds", async () => {
    const clock = vi.spyOn(performance, "now").mockReturnValue(1000);
    using metrics = new MetricsWriter(run.metrics);
    using log = await openTrackers(metrics, run, parseConfig({ log: ["csv"] }));
    const rows = () => csv()[0]?.split("\n").length ?? 0;
    log.write(step(1));
    expect(rows()).toBe(1);
    log.flush();
    expect(rows()).toBe(3);
    log.write(step(2));
    expect(rows()).toBe(3);
    clock.mockReturnValue(6001);
    log.write(step(3));
    expect(rows()).toBe(5);
  });

  it("ends a run on a full disk with a sentence and whole rows, and closes", async () => {
    using metrics = new MetricsWriter(run.metrics);
    const log = await openTrackers(metrics, run, parseConfig({ log: ["csv"] }));
    log.write(step(1));
    log.flush();
    log.write(step(2));
    const real = fs.writeSync.bind(fs);
    const full = Object.assign(new Error("no space"), { code: "ENOSPC" });
    const write = vi
      .spyOn(fs, "writeSync")
      .mockImplementationOnce((descriptor, bytes) => real(descriptor, Buffer.from(bytes.slice(0, 7))))
      .mockImplementation(() => {
        throw full;
      });
    const failing = () => log.flush();
    expect(failing).toThrow(UserError);
    write.mockRestore();
    expect(csv()[0]).toBe(`${STEPS}0,1,2.25,12.5,31,480,0.1,1e-7\n`);
    expect(() => log[Symbol.dispose]()).not.toThrow();
  });

  it("is refused where it can't be written, with nothing left open", async ({ folder }) => {
    fs.mkdirSync(run.epochs);
    using metrics = new MetricsWriter(run.metrics);
    const before = fs.readdirSync("/proc/self/fd").length;
    await expect(openTrackers(metrics, run, parseConfig({ log: ["csv"] }))).rejects.toThrow(
      new RegExp(`^write CSV: expected a regular file for "${join(folder, "epochs.csv")}", received a folder`),
    );
    expect(fs.readdirSync("/proc/self/fd").length).toBe(before);
  });
});
