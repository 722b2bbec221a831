import { accessSync, constants, mkdirSync, readdirSync, rmSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { UserError } from "@peekaboo/torch/errors";
import { writeFileAtomic } from "@peekaboo/torch/files";
import type { TrainConfig } from "../config.js";
import type { Environment } from "./environment.js";

/** The files of one run. */
export interface RunFolder {
  readonly path: string;
  readonly config: string;
  readonly metrics: string;
  readonly checkpoint: string;
  readonly best: string;
  readonly pruned: string;
  /** Held while a run uses the folder. */
  readonly lock: string;
}

/** The files of `<savedir>/<exp-name>`, whether or not they are there. */
export function runFolder({ savedir, expName }: Pick<TrainConfig, "savedir" | "expName">): RunFolder {
  const path = join(savedir, expName);
  const file = (name: string) => join(path, name);
  return {
    path,
    config: file("config.json"),
    metrics: file("metrics.jsonl"),
    checkpoint: file("checkpoint.safetensors"),
    best: file("best.safetensors"),
    pruned: file("pruned.safetensors"),
    lock: file("run.lock"),
  };
}

/** Makes `<savedir>/<exp-name>`. Throws UserError when that can't be done or written to. */
export function openRunFolder(config: Pick<TrainConfig, "savedir" | "expName">): RunFolder {
  const folder = runFolder(config);
  const { path } = folder;
  try {
    mkdirSync(path, { recursive: true });
    accessSync(path, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new UserError({
      operation: "train",
      argument: "the run folder (--savedir and --exp-name)",
      expected: "a folder that can be written to",
      received: `${path} (${error instanceof Error && "code" in error ? error.code : error})`,
      remedy: "choose another --savedir, or change the permissions",
      cause: error,
    });
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

/**
 * Removes an earlier run's networks, lest they be taken for the one that begins; returns whether there was a checkpoint.
 *
 * @param except what the run begins from, which stays
 */
export function removeEarlier(folder: RunFolder, except: readonly (string | null | undefined)[] = []): boolean {
  const { path, checkpoint, best, pruned } = folder;
  const earlier = earlierCheckpoints(folder).map((one) => one.path);
  const used = earlier.length > 0 || filesOf(path).includes(basename(checkpoint));
  const kept = except.flatMap((file) => (typeof file === "string" ? [resolve(file)] : []));
  for (const file of [...earlier, checkpoint, best, pruned]) {
    if (!kept.includes(resolve(file))) rmSync(file, { force: true });
  }
  return used;
}

/** Removes what a killed process had begun to write; the caller holds the folder's lock. */
export function removeUnfinished({ path }: Pick<RunFolder, "path">): void {
  for (const name of filesOf(path)) {
    if (/^\.writing-.*\.tmp$/.test(name)) rmSync(join(path, name), { force: true });
  }
}

function filesOf(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

/** Writes the settings of the run and what it runs on. */
export function writeConfig({ config: path }: RunFolder, config: TrainConfig, environment: Environment): void {
  writeFileAtomic(path, [Buffer.from(`${JSON.stringify({ ...config, environment }, null, 2)}\n`)]);
}
