import { readdirSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, expect, vi } from "vitest";
import { hparamsIn, readEvents, readShownEvents } from "../../../../../tests/support/events.js";
import { it } from "../../../../../tests/support/folder.js";
import { parseConfig } from "../../config/config.js";
import type { Metrics } from "../../runs/metrics.js";
import { crc32c } from "./crc32c.js";
import { recordOf } from "./record.js";
import { encodeEvent } from "./schema.js";
import { TensorBoardTracker } from "./tensorboard.js";

const config = parseConfig({ arch: "PsgResNet20", optimizer: "BOP", sgd: { lr: 0.05 }, bop: { ar: 1e-2 } });

const pruned: Metrics = {
  ...{ kind: "prune", epoch: 0, shot: 0, pruner: "Mag", density: 0.4, kept: 4, total: 16, seconds: 1 },
  layers: [{ name: "conv1.weight", kept: 4, total: 16 }],
};
const step = (number: number, loss = number): Metrics => ({
  ...{ kind: "step", epoch: 0, step: number, loss, accuracy: 12.5, flips: 3, imagesPerSecond: 640, lr: 0.5, ar: 0.25 },
});
const skipped: Metrics = { kind: "skip", epoch: 0, step: 2, what: "loss", where: "the images" };
const epoch: Metrics = {
  ...{ kind: "epoch", epoch: 0, step: 3, loss: 2, accuracy: 25, flips: 3, imagesPerSecond: 640, lr: 0.5, ar: 0.25 },
  seconds: 1,
};
const flips: Metrics = {
  ...{ kind: "flips", epoch: 0, step: 3 },
  layers: [
    { name: "conv1.weight", flips: 3, kept: 4 },
    { name: "layer1.weight", flips: 0, kept: 0 },
    { name: "layer2.weight", flips: 5, kept: 20 },
  ],
};
const tested: Metrics = { kind: "eval", epoch: 0, step: 3, loss: 1.5, accuracy: 50, top5: 75, best: true };

/** Writes the lines that a part of a run adds to those `before`; it may be lost before its last lines are on the disk. */
function part(path: string, before: readonly Metrics[], lines: readonly Metrics[], { lost = false } = {}): void {
  const tracker = new TensorBoardTracker({ path }, config, before);
  for (const line of lines) tracker.write(line);
  if (lost) tracker.flush();
  else tracker.close();
}

const scalarsIn = (path: string) =>
  Object.fromEntries(
    [...readShownEvents(path)].flatMap(([tag, values]) => {
      const scalars = values.flatMap(({ step: at, scalar }) => (scalar === undefined ? [] : [[at, scalar]]));
      return scalars.length === 0 ? [] : [[tag, scalars]];
    }),
  );

describe("a checksum", () => {
  it("is the one of RFC 3720, appendix B.4", () => {
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
    expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
    expect(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i))).toBe(0x46dd794e);
  });

  it("begins a file of events as TensorFlow begins each of its own", () => {
    const record = Buffer.from(recordOf(encodeEvent({ wallTime: 1, fileVersion: "brain.Event:2" })));
    expect(record.subarray(0, 12).toString("hex")).toBe("1800000000000000a37f4b22");
  });
});

describe("TensorBoard", () => {
  it("is given every figure at its step, with the time", ({ folder }) => {
    const before = Date.now() / 1000;
    part(folder, [], [pruned, step(1), skipped, step(3), epoch, flips, tested]);
    const [file = "", ...others] = readdirSync(folder);
    expect(others).toEqual([]);
    const [first, ...events] = readEvents(join(folder, file));
    expect(first).toMatchObject({ fileVersion: "brain.Event:2", values: [] });
    for (const { wallTime } of events) {
      expect(wallTime).toBeGreaterThanOrEqual(before);
      expect(wallTime).toBeLessThanOrEqual(Date.now() / 1000);
    }
    expect(scalarsIn(folder)).toEqual({
      density: [[0, 0.25]],
      "loss/train": [
        [1, 1],
        [3, 3],
      ],
      ...Object.fromEntries(
        Object.entries({
          "accuracy/train": 12.5,
          flips: 3,
          images_per_second: 640,
          "rates/lr": 0.5,
          "rates/gamma": 0.25,
        }).map(([tag, value]) => [
          tag,
          [
            [1, value],
            [3, value],
          ],
        ]),
      ),
      "loss/train_epoch": [[3, 2]],
      "accuracy/train_epoch": [[3, 25]],
      "flips_per_weight/conv1.weight": [[3, 0.75]],
      "flips_per_weight/layer1.weight": [[3, 0]],
      "flips_per_weight/layer2.weight": [[3, 0.25]],
      "loss/test": [[3, 1.5]],
      "accuracy/test": [[3, 50]],
      "accuracy/test_top5": [[3, 75]],
    });
    expect(readShownEvents(folder).get("flips_by_layer")?.[0]?.histogram).toEqual([
      [0, 1, 3],
      [1, 2, 0],
      [2, 3, 5],
    ]);
  });

  it("is given neither flips nor γ without Bop", ({ folder }) => {
    const { ar: _, ...plain } = step(1) as Extract<Metrics, { kind: "step" }>;
    part(folder, [], [{ ...plain, flips: 0 }]);
    expect(Object.keys(scalarsIn(folder)).sort()).toEqual([
      "accuracy/train",
      "images_per_second",
      "loss/train",
      "rates/lr",
    ]);
  });

  it("is given the settings as hyperparameters, by their paths", ({ folder }) => {
    part(folder, [], []);
    const [start] = readShownEvents(folder).get("_hparams_/session_start_info") ?? [];
    expect(start?.plugin?.name).toBe("hparams");
    const hparams = hparamsIn(start?.plugin?.content ?? Buffer.alloc(0));
    expect(hparams).toMatchObject({ arch: "PsgResNet20", "sgd.lr": 0.05, "bop.ar": 0.01, "psg.sparsify": false });
    expect(hparams["sgd.milestones"]).toBe(JSON.stringify(config.sgd.milestones));
    // What is null is absent.
    expect([config.maxSteps, "maxSteps" in hparams]).toEqual([null, false]);
  });

  it("is given the run's picture and that it has ended, at the last step", async ({ folder }) => {
    const picture = join(folder, "run.svg");
    writeFileSync(
      picture,
      '<svg xmlns="http://www.w3.org/2000/svg" width="12" height="7"><rect width="12" height="7"/></svg>',
    );
    const tracker = new TensorBoardTracker({ path: folder }, config, []);
    tracker.write(step(5));
    await tracker.finish(picture);
    tracker.close();
    const shown = readShownEvents(folder);
    const [run] = shown.get("run") ?? [];
    expect([run?.step, run?.image?.width, run?.image?.height]).toEqual([5, 12, 7]);
    expect(run?.image?.png.subarray(1, 4).toString()).toBe("PNG");
    expect(shown.get("_hparams_/session_end_info")).toHaveLength(1);
  });
});

describe("a run that goes on", () => {
  it("takes back what was told after its checkpoint, and tells that step's test once", ({ folder }) => {
    part(folder, [], [pruned, step(1), step(2), step(3), epoch, flips, tested, step(4, 99), step(5, 99)], {
      lost: true,
    });
    // At a checkpoint after step 3 that came before the test.
    part(folder, [pruned, step(1), step(2), step(3)], [epoch, flips, tested, step(4)]);
    expect(readdirSync(folder)).toHaveLength(2);
    const scalars = scalarsIn(folder);
    expect(scalars["loss/train"]).toEqual([1, 2, 3, 4].map((number) => [number, number]));
    expect(scalars["loss/test"]).toEqual([[3, 1.5]]);
    expect(scalars["flips_per_weight/conv1.weight"]).toEqual([[3, 0.75]]);
    expect(scalars.density).toEqual([[0, 0.25]]);
  });

  it("keeps the test of its checkpoint's step", ({ folder }) => {
    const before = [pruned, step(1), step(2), step(3), epoch, flips, tested];
    part(folder, [], [...before, step(4, 99)]);
    part(folder, before, [step(4)]);
    part(folder, [...before, step(4)], [step(5)]);
    const scalars = scalarsIn(folder);
    expect(scalars["loss/train"]).toEqual([1, 2, 3, 4, 5].map((number) => [number, number]));
    expect(scalars["loss/test"]).toEqual([[3, 1.5]]);
  });

  it("begins anew where nothing was kept", ({ folder }) => {
    part(folder, [], [pruned, step(1, 99), step(2, 99)]);
    part(folder, [], [pruned, step(1)]);
    expect(scalarsIn(folder)).toMatchObject({ density: [[0, 0.25]], "loss/train": [[1, 1]] });
  });

  it("tells its first steps, too, where TensorBoard wasn't asked for before", ({ folder }) => {
    part(folder, [pruned, step(1), step(2)], [step(3)]);
    expect(scalarsIn(folder)).toMatchObject({ density: [[0, 0.25]] });
    expect(scalarsIn(folder)["loss/train"]).toEqual([1, 2, 3].map((number) => [number, number]));
  });

  it("has files in the order of its parts, also when the clock goes back", ({ folder }) => {
    const now = vi.spyOn(Date, "now");
    for (const seconds of [1_900_000_000, 1_800_000_000, 1_900_000_000]) {
      now.mockReturnValue(1000 * seconds);
      part(folder, [], []);
    }
    now.mockRestore();
    expect(
      readdirSync(folder)
        .map((name) => basename(name))
        .sort(),
    ).toEqual([0, 1, 2].map((i) => `events.out.tfevents.${1_900_000_000 + i}.peekaboo`));
  });
});
