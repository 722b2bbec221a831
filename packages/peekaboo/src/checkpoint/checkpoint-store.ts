import { copyFileSync, linkSync, renameSync, rmSync, statfsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import {
  type BackgroundFileOperations,
  errorCode,
  type FileContents,
  nodeBackgroundOperations,
  writeFileInBackground,
} from "@peekaboo/files";
import { printable, quoted, UserError } from "@peekaboo/files/errors";
import { formatBytes } from "../console/format.js";
import { earlierCheckpoints, type RunFolder } from "../runs/run-folder.js";
import { setting } from "../setting.js";
import { verifyWritten } from "./checksums.js";
import { type Checkpoint, readCheckpoint } from "./format.js";

type Files = Pick<RunFolder, "path" | "checkpoint">;

/**
 * The newest checkpoint of a run folder that can be read and agrees with its checksums; null where there is none.
 *
 * @param say told, in a sentence, which damaged ones were passed over and why
 * @throws {UserError} when there are some and none is whole.
 */
export function readLatest(folder: Files, say: (text: string) => void): Checkpoint | null {
  const paths = [folder.checkpoint, ...earlierCheckpoints(folder).map(({ path }) => path)];
  const faults: string[] = [];
  for (const path of paths) {
    const found = attempt(path);
    if (found === null) continue;
    if (typeof found === "string") {
      faults.push(found);
      continue;
    }
    const [worst] = faults;
    if (worst !== undefined) say(`${worst}; going back to ${printable(path)}.`);
    return found;
  }
  const [first] = faults;
  if (first === undefined) return null;
  throw new UserError({
    operation: "resume",
    argument: quoted(folder.path),
    expected: "a whole checkpoint",
    received: `${faults.length} damaged ${faults.length === 1 ? "one" : "ones"} (${first})`,
    remedy: `put a copy there, or start anew with ${setting("resume")} never`,
  });
}

/** A checkpoint, what is wrong with it, or null where the file isn't. */
function attempt(path: string): Checkpoint | string | null {
  try {
    return readCheckpoint(path);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    if (errorCode(error.cause) === "ENOENT") return null;
    return error.message.replace(/(; [^;]*)?\.$/, "");
  }
}

/** What a run keeps of its checkpoints: the latest, and under their steps' numbers those before it. */
export class CheckpointStore {
  readonly #folder: Files;
  readonly #keep: number;
  readonly #operations: BackgroundFileOperations;
  /** Of the latest file, where it is whole and of this run. */
  #step: number | null = null;
  /** Verifying the latest, then removing checkpoints beyond those to keep. */
  #afterwards: Promise<void> = Promise.resolve();

  constructor(folder: Files, keep: number, operations: BackgroundFileOperations = nodeBackgroundOperations) {
    this.#folder = folder;
    this.#keep = keep;
    this.#operations = operations;
  }

  /**
   * Makes a checkpoint of the run folder, from which the run goes on, the latest again; those after it are removed, for
   * `metrics.jsonl` will be cut to its length.
   */
  adopt({ path, progress: { step } }: Pick<Checkpoint, "path" | "progress">): void {
    const { checkpoint } = this.#folder;
    if (path !== checkpoint) {
      const temporary = join(dirname(checkpoint), `.writing-${process.pid}-adopted.tmp`);
      linkOrCopy(path, temporary);
      renameSync(temporary, checkpoint);
    }
    this.#step = step;
    for (const superfluous of this.#superfluous(step)) rmSync(superfluous, { force: true });
  }

  /**
   * Writes the latest checkpoint and keeps the one before under its step's number; at no moment is there none. What
   * is written must stay as it is until then.
   *
   * The new file is on the disk, as the system says, before it is the latest. It is then read again, and old ones go
   * once it agrees with its checksums. Both go on while the run does; the next save and {@link settle} wait for them.
   *
   * @throws {UserError} when it can't be written, naming the bytes needed where space is short, or when the one before
   *   wasn't as it was written; what there was is intact.
   */
  async save(contents: FileContents, step: number): Promise<void> {
    await this.settle();
    const { checkpoint } = this.#folder;
    const previous = this.#step;
    try {
      await writeFileInBackground(checkpoint, contents, {
        ...this.#operations,
        rename: (from, to) => {
          if (previous !== null && previous !== step) this.#setAside(previous);
          this.#operations.rename(from, to);
        },
      });
    } catch (error) {
      throw spaceError(checkpoint, contents.byteLength, error);
    }
    this.#step = step;
    this.#afterwards = this.#verifyAndTidy(step);
    // The next await rethrows.
    this.#afterwards.catch(() => {});
  }

  /**
   * Resolves when the latest is verified and checkpoints beyond those to keep are removed.
   * @throws {UserError} when it is damaged.
   */
  async settle(): Promise<void> {
    await this.#afterwards;
  }

  async #verifyAndTidy(step: number): Promise<void> {
    await verifyWritten(this.#folder.checkpoint);
    await Promise.all(this.#superfluous(step).map((path) => rm(path, { force: true })));
  }

  #setAside(step: number): void {
    const { path, checkpoint } = this.#folder;
    const aside = join(path, `checkpoint-${step}.safetensors`);
    rmSync(aside, { force: true });
    try {
      linkSync(checkpoint, aside);
    } catch {
      // A file system without links: for a moment the one set aside is the newest.
      renameSync(checkpoint, aside);
    }
  }

  /** The files of later steps, and those beyond those to keep. */
  #superfluous(step: number): string[] {
    const [before, after] = [[] as string[], [] as string[]];
    for (const earlier of earlierCheckpoints(this.#folder)) (earlier.step < step ? before : after).push(earlier.path);
    return [...after, ...before.slice(this.#keep - 1)];
  }
}

function linkOrCopy(from: string, to: string): void {
  rmSync(to, { force: true });
  try {
    linkSync(from, to);
  } catch {
    copyFileSync(from, to);
  }
}

function spaceError(path: string, needed: number, error: unknown): unknown {
  const code = error instanceof UserError ? errorCode(error.cause) : undefined;
  if (!(error instanceof UserError)) return error;
  if (code !== "ENOSPC" && code !== "EDQUOT") return error;
  return new UserError({
    operation: "save checkpoint",
    argument: quoted(path),
    expected: `${formatBytes(needed)} of free space`,
    received: `${code === "EDQUOT" ? "a quota used up" : `a disk with ${freeBytes(path)} free`} (${code})`,
    remedy: "free some and resume: the checkpoint before is intact",
    cause: error.cause,
  });
}

function freeBytes(path: string): string {
  try {
    const { bavail, bsize } = statfsSync(dirname(path));
    return formatBytes(bavail * bsize);
  } catch {
    return "too little";
  }
}
