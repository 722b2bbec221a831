import { accessSync, constants, existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
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
  /** Whether an earlier run's checkpoint was there. */
  readonly used: boolean;
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
    used: existsSync(file("checkpoint.safetensors")),
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

/** Removes an earlier run's networks, lest they be taken for the one that begins. */
export function removeEarlier({ checkpoint, best, pruned }: RunFolder): void {
  for (const path of [checkpoint, best, pruned]) rmSync(path, { force: true });
}

/** Writes the settings of the run and what it runs on. */
export function writeConfig({ config: path }: RunFolder, config: TrainConfig, environment: Environment): void {
  writeFileAtomic(path, [Buffer.from(`${JSON.stringify({ ...config, environment }, null, 2)}\n`)]);
}
