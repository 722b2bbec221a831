import { readdirSync, rmSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { makeFolder, refuseUnwritable } from "@peekaboo/files";
import { UserError } from "@peekaboo/files/errors";
import type { Config } from "../config/config.js";
import { setting } from "../setting.js";

/** The files of one run. */
export interface RunFolder {
  readonly path: string;
  readonly config: string;
  readonly metrics: string;
  /** The same figures as CSV. */
  readonly steps: string;
  readonly epochs: string;
  readonly checkpoint: string;
  readonly best: string;
  /** The best network as a seed, masks and signs. */
  readonly bestPab: string;
  readonly pruned: string;
  readonly picture: string;
  /** Held while a run uses the folder. */
  readonly lock: string;
}

/** The files of `<savedir>/<exp-name>`, whether or not they are there. */
export function runFolder({ savedir, expName }: Config<"savedir" | "expName">): RunFolder {
  const path = join(savedir, expName);
  const file = (name: string) => join(path, name);
  return {
    path,
    config: file("config.json"),
    metrics: file("metrics.jsonl"),
    steps: file("steps.csv"),
    epochs: file("epochs.csv"),
    checkpoint: file("checkpoint.safetensors"),
    best: file("best.safetensors"),
    bestPab: file("best.pab"),
    pruned: file("pruned.safetensors"),
    picture: file("run.svg"),
    lock: file("run.lock"),
  };
}

/**
 * Makes `<savedir>/<exp-name>`.
 * @throws {UserError} when that can't be done or written to, and when something else than a file
 * is where the run will write one: it would be found only then.
 */
export function openRunFolder(config: Config<"savedir" | "expName">): RunFolder {
  const folder = runFolder(config);
  try {
    makeFolder("train", folder.path);
    const { path: _, lock: __, ...files } = folder;
    const earlier = earlierCheckpoints(folder).map(({ path }) => path);
    for (const file of [...Object.values(files), ...earlier]) refuseUnwritable("train", file);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw error.withRemedy(
      `remove what is there, change the permissions, or choose another ${setting("savedir")} or ${setting("expName")}`,
    );
  }
  return folder;
}

/** A checkpoint that was the latest once. */
export interface EarlierCheckpoint {
  readonly path: string;
  /** Optimiser steps done. */
  readonly step: number;
}

/** A run folder's checkpoints but for the latest, the newest first. */
export function earlierCheckpoints({ path }: Pick<RunFolder, "path">): EarlierCheckpoint[] {
  return filesOf(path)
    .flatMap((name) => {
      const [, digits] = /^checkpoint-(\d{1,15})\.safetensors$/.exec(name) ?? [];
      return digits === undefined ? [] : [{ path: join(path, name), step: Number(digits) }];
    })
    .sort((a, b) => b.step - a.step);
}

/** A run folder's files for TensorBoard, the first one first. */
export function eventFiles({ path }: Pick<RunFolder, "path">): string[] {
  return filesOf(path)
    .filter((name) => /^events\.out\.tfevents\.\d{10}\.peekaboo$/.test(name))
    .sort()
    .map((name) => join(path, name));
}

/**
 * A new name for a file of events that follow in a run folder: TensorBoard reads them in the order of their names, which
 * begin with the time in seconds.
 */
export function nextEventFile(folder: Pick<RunFolder, "path">, now: number): string {
  const last = eventFiles(folder).at(-1) ?? "";
  const [, seconds = "0"] = /(\d{10})\.peekaboo$/.exec(last) ?? [];
  const next = Math.max(Math.floor(now), Number(seconds) + 1);
  return join(folder.path, `events.out.tfevents.${String(next).padStart(10, "0")}.peekaboo`);
}

/**
 * Removes an earlier run's networks, and figures other than the metrics, so they can't be mistaken for the new run's; returns whether there was a checkpoint.
 *
 * @param except what the run begins from, which stays
 */
export function removeEarlier(folder: RunFolder, except: readonly (string | null | undefined)[] = []): boolean {
  const { path, checkpoint, best, bestPab, pruned, steps, epochs } = folder;
  const earlier = earlierCheckpoints(folder).map((one) => one.path);
  const used = earlier.length > 0 || filesOf(path).includes(basename(checkpoint));
  const kept = except.flatMap((file) => (typeof file === "string" ? [resolve(file)] : []));
  for (const file of [...earlier, checkpoint, best, bestPab, pruned, steps, epochs, ...eventFiles(folder)]) {
    if (!kept.includes(resolve(file))) rmSync(file, { force: true });
  }
  return used;
}

/** Removes what a killed process had begun to write; the caller holds the folder's lock. */
export function removeUnfinished({ path }: Pick<RunFolder, "path">): void {
  for (const name of filesOf(path)) {
    if (/^\.writing-.*\.tmp$/.test(name)) removeFile(join(path, name));
  }
}

function removeFile(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // A folder of such a name, or one in use elsewhere: not worth a run.
  }
}

function filesOf(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
