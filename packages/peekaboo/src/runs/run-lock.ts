import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { errorCode, FileLock, type LockHolder } from "@peekaboo/files";
import { printable, quoted, UserError } from "@peekaboo/files/errors";
import { setting } from "../setting.js";

/** Options of {@link lockRun}. */
export interface RunLockOptions {
  /** What is locked, for the message. */
  folder: string;
  /** Who locks it; default: a run of training. */
  user?: LockUser;
  /** Told when it takes time to find out whether another machine's process lives. */
  onWait?: (text: string) => void;
  signal?: AbortSignal;
}

/** What a folder is locked for, and what its messages call it. */
interface LockUser {
  operation: string;
  /** "run" for "the run folder". */
  what: string;
  /** "run" for "no other run is using". */
  who: string;
  /** The settings that say where the folder is. */
  settings: readonly string[];
}

const RUN: LockUser = { operation: "train", what: "run", who: "run", settings: ["savedir", "expName"] };

/** Takes a run folder's lock at `path`. @throws {UserError} naming the process that holds it, or why it can't be taken. */
export async function lockRun(path: string, { folder, user = RUN, onWait, signal }: RunLockOptions): Promise<FileLock> {
  const { operation, what, settings } = user;
  const onHeld = (holder: LockHolder | null) => {
    throw refusal(path, holder, folder, user);
  };
  try {
    return await FileLock.acquire(path, { operation, onHeld, onWatch: onWait, signal });
  } catch (error) {
    const code = errorCode(error);
    if (code === undefined) throw error;
    throw new UserError({
      operation,
      argument: `the ${what} folder (${settings.map(setting).join(" and ")})`,
      expected: "a folder that can be written to",
      received: `${quoted(dirname(path))} (${code})`,
      remedy: `choose another ${setting("savedir")}, change the permissions, or free some space`,
      cause: error,
    });
  }
}

/** Options of {@link awaitLock}. */
export interface AwaitLockOptions {
  /** What the lock is wanted for, for the messages. */
  operation: string;
  /** How long to wait, in milliseconds. */
  patience: number;
  /** Called again and again while another holds it; stops the waiting by throwing. */
  onHeld?(): Promise<void> | void;
  /** Told when it takes time to find out whether another machine's process lives. */
  onWatch?(text: string): void;
  signal?: AbortSignal;
}

/** How often to look whether a lock is free. */
const LOOK_MS = 100;

/** Waits for a lock; null when another still holds it in the end. Throws as `FileLock.acquire`. */
export async function awaitLock(path: string, options: AwaitLockOptions): Promise<FileLock | null> {
  const { operation, patience, onWatch, signal } = options;
  const until = Date.now() + patience;
  const onHeld = async () => {
    if (Date.now() > until) throw new StillHeld();
    await options.onHeld?.();
    await sleep(LOOK_MS);
    signal?.throwIfAborted();
  };
  try {
    return await FileLock.acquire(path, { operation, onHeld, onWatch, signal });
  } catch (error) {
    if (error instanceof StillHeld) return null;
    throw error;
  }
}

/** The lock stays another's. */
class StillHeld extends Error {
  override readonly name = "StillHeld";
}

function refusal(
  path: string,
  holder: LockHolder | null,
  folder: string,
  { operation, what, who: user }: LockUser,
): UserError {
  const who =
    holder === null ? "another process" : `process ${holder.pid} on ${printable(holder.host)} since ${holder.since}`;
  return new UserError({
    operation,
    argument: quoted(folder),
    expected: `a ${what} folder that no other ${user} is using`,
    received: `one in use by ${who}`,
    remedy: `wait for its end, choose another folder, or, if it is surely gone, remove ${quoted(path)}`,
  });
}
