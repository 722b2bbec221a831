import { symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeSafetensors } from "@peekaboo/files";
import { UserError } from "@peekaboo/files/errors";
import { describe, expect } from "vitest";
import { withChecksums } from "../../../../tests/support/checksums.js";
import { it } from "../../../../tests/support/folder.js";
import { CHECKPOINT_FORMAT } from "../checkpoint/format.js";
import { BEGINNING } from "../checkpoint/progress.js";
import { parseConfig } from "../config/config.js";
import { runFolder } from "../runs/run-folder.js";
import { findStart, isOwn } from "./resume.js";

const SETTINGS = { arch: "PsgResNet20", width: 0.25, epochs: 3, optimizer: "BOP" };

/** A checkpoint of a run with these settings, after seven steps. */
function write(path: string, settings: object = SETTINGS, more: Record<string, string> = {}): string {
  const metadata = {
    format: CHECKPOINT_FORMAT,
    config: JSON.stringify(parseConfig(settings)),
    progress: JSON.stringify({ ...BEGINNING, step: 7 }),
    numClasses: "10",
    ...more,
  };
  const tensors = [["a", { dtype: "U8", shape: [1], data: Uint8Array.of(1) }]] as const;
  writeSafetensors(path, tensors, withChecksums(tensors, metadata));
  return path;
}

const folderIn = (savedir: string) => runFolder({ savedir, expName: "." });

/** What a run in `savedir` with these settings begins with, and what it is told. */
function start(savedir: string, settings: object = SETTINGS) {
  const notes: string[] = [];
  const checkpoint = findStart(parseConfig(settings), folderIn(savedir), { note: (text) => notes.push(text) });
  return { checkpoint, notes };
}

/** The sentence with which a run with these settings is refused. */
function refusal(savedir: string, settings: object): string {
  try {
    start(savedir, settings);
  } catch (error) {
    expect(error).toBeInstanceOf(UserError);
    return (error as UserError).message;
  }
  throw new Error("nothing was refused");
}

describe("findStart", () => {
  it("finds the run's own checkpoint, nothing in a new folder, and nothing where nothing is to be found", ({
    folder,
  }) => {
    expect(start(folder).checkpoint).toBeNull();
    write(folderIn(folder).checkpoint);
    expect(start(folder).checkpoint?.progress.step).toBe(7);
    expect(start(folder, { ...SETTINGS, resume: "never" }).checkpoint).toBeNull();
  });

  it("takes the file that is asked for, not the run's own", ({ folder }) => {
    write(folderIn(folder).checkpoint);
    const other = write(join(folder, "other.safetensors"));
    const { checkpoint } = start(folder, { ...SETTINGS, resume: other });
    expect(checkpoint?.path).toBe(other);
    expect(refusal(folder, { ...SETTINGS, resume: join(folder, "none") })).toContain("an existing file");
  });

  it("passes over a damaged one, and says so", ({ folder }) => {
    write(join(folder, "checkpoint-7.safetensors"));
    writeFileSync(folderIn(folder).checkpoint, "damaged");
    const { checkpoint, notes } = start(folder);
    expect(checkpoint?.progress.step).toBe(7);
    expect(notes).toHaveLength(1);
    expect(notes[0]).toContain("going back to");
  });

  it("refuses another network's settings, the first three of them, and how many more", ({ folder }) => {
    const { checkpoint } = folderIn(folder);
    write(checkpoint);
    expect(refusal(folder, { ...SETTINGS, seed: 1, width: 0.5 })).toBe(
      `resume: expected the settings that its run began with for "${checkpoint}", ` +
        "received others (width 0.5 instead of 0.25, seed 1 instead of 0); " +
        "give the same settings, or start anew with `resume` never or another `expName`.",
    );
    const five = { seed: 1, width: 0.5, dropout: 0.1, batchSize: 64, arch: "ResNet20" };
    expect(refusal(folder, { ...SETTINGS, ...five })).toMatch(/received others \((?:[^,]+, ){2}[^,]+ and 2 more\);/);
  });

  it("takes other places, devices, threads and intervals for the same run", ({ folder }) => {
    write(folderIn(folder).checkpoint);
    const incidental = {
      threads: 2,
      keep: 5,
      checkpointEvery: { seconds: 9 },
      distributed: { timeout: 7 },
      json: true,
      sharePruning: "prunings",
    };
    expect(start(folder, { ...SETTINGS, ...incidental }).checkpoint).not.toBeNull();
  });

  it("may be longer, unless a rate goes by the number of steps", ({ folder }) => {
    write(folderIn(folder).checkpoint);
    expect(start(folder, { ...SETTINGS, epochs: 9, maxSteps: 4 }).checkpoint).not.toBeNull();
    for (const rated of [{ sgd: { lrSchedule: "cosine" } }, { bop: { arSchedule: "linear" } }]) {
      write(folderIn(folder).checkpoint, { ...SETTINGS, ...rated });
      expect(refusal(folder, { ...SETTINGS, ...rated, epochs: 9 })).toContain("(epochs 9 instead of 3)");
    }
    // Without Bop its schedule doesn't count.
    const sgd = { ...SETTINGS, arch: "ResNet20", optimizer: "SGD", bop: { arSchedule: "linear" } };
    write(folderIn(folder).checkpoint, sgd);
    expect(start(folder, { ...sgd, epochs: 9 }).checkpoint).not.toBeNull();
  });

  it("tests a network whatever else the settings are", ({ folder }) => {
    write(folderIn(folder).checkpoint);
    expect(start(folder, { ...SETTINGS, seed: 1, evaluate: true }).checkpoint?.progress.step).toBe(7);
  });
});

describe("a pruned file", () => {
  const PRUNED = { stage: "pruned" };

  it("begins every training of its architecture, in any variant", ({ folder }) => {
    const resume = write(join(folder, "pruned.safetensors"), { ...SETTINGS, arch: "ResNet20", seed: 3 }, PRUNED);
    expect(start(folder, { ...SETTINGS, resume }).checkpoint?.stage).toBe("pruned");
  });

  it("refuses another architecture, another width, and to be pruned once more", ({ folder }) => {
    const resume = write(join(folder, "pruned.safetensors"), SETTINGS, PRUNED);
    const other = refusal(folder, { ...SETTINGS, arch: "PsgResNet18", resume });
    expect(other).toContain("expected a pruned ResNet18 of width 0.25, for");
    expect(other).toContain(`received "${resume}", which holds a ResNet20 of width 0.25;`);
    expect(refusal(folder, { ...SETTINGS, width: 0.5, resume })).toContain("a pruned ResNet20 of width 0.5");
    const again = { ...SETTINGS, resume, pruning: { pruner: "Mag", density: 0.5 } };
    expect(refusal(folder, again)).toContain("none beside a network that is pruned already");
  });
});

describe("isOwn", () => {
  it("is a training's checkpoint in the run's folder, by whatever way it is reached", ({ folder }) => {
    const path = write(folderIn(folder).checkpoint);
    const linked = join(folder, "link");
    symlinkSync(folder, linked);
    const own = { path: join(linked, "checkpoint.safetensors"), stage: "training" } as const;
    const all = { ...start(folder).checkpoint } as NonNullable<ReturnType<typeof findStart>>;
    expect(isOwn({ ...all, ...own }, { path: folder })).toBe(true);
    expect(isOwn({ ...all, path, stage: "pruned" }, { path: folder })).toBe(false);
    expect(isOwn({ ...all, path }, { path: join(folder, "..") })).toBe(false);
  });
});
