import { dirname } from "node:path";
import { errorCode, FileLock, type LockHolder } from "@peekaboo/files";
import { printable, quoted, UserError } from "@peekaboo/files/errors";
import { setting } from "../setting.js";

/** Options of {@link lockRun}. */
export interface RunLockOptions {
  /** What is locked, for the message. */
  folder: string;
  /** Told when it takes time to find out whether another machine's process lives. */
  onWait?: (text: string) => void;
  signal?: AbortSignal;
}

/** Takes a run folder's lock at `path`. @throws {UserError} naming the process that holds it, or why it can't be taken. */
export async function lockRun(path: string, { folder, onWait, signal }: RunLockOptions): Promise<FileLock> {
  const onHeld = (holder: LockHolder | null) => {
    throw refusal(path, holder, folder);
  };
  try {
    return await FileLock.acquire(path, { operation: "train", onHeld, onWatch: onWait, signal });
  } catch (error) {
    const code = errorCode(error);
    if (code === undefined) throw error;
    throw new UserError({
      operation: "train",
      argument: `the run folder (${setting("savedir")} and ${setting("expName")})`,
      expected: "a folder that can be written to",
      received: `${quoted(dirname(path))} (${code})`,
      remedy: `choose another ${setting("savedir")}, change the permissions, or free some space`,
      cause: error,
    });
  }
}

function refusal(path: string, holder: LockHolder | null, folder: string): UserError {
  const who =
    holder === null ? "another process" : `process ${holder.pid} on ${printable(holder.host)} since ${holder.since}`;
  return new UserError({
    operation: "train",
    argument: quoted(folder),
    expected: "a run folder that no other run is using",
    received: `one in use by ${who}`,
    remedy: `wait for its end, choose another folder, or, if it is surely gone, remove ${quoted(path)}`,
  });
}
