import { closeSync, openSync, rmSync, statSync, utimesSync, writeSync } from "node:fs";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { errorCode, readLockFile } from "@peekaboo/files";
import { quoted, UserError } from "@peekaboo/files/errors";

const BEAT_MS = 2000;
const STALE_MS = 60_000;
const POLL_MS = 200;
/** Abandoned locks that one process breaks: whoever makes so many means no good. */
const MAX_BROKEN = 20;

/**
 * Runs `action` while holding a lock file, so that processes which share a folder do it one after the other; `onWait`
 * is told once when another holds it. A lock whose process is gone, or which hasn't been touched for a minute, is broken.
 *
 * Should two processes break one lock at the same moment both go on: what the lock guards must bear that.
 *
 * Throws UserError when something else stands in the lock's place.
 */
export async function withLock<T>(
  path: string,
  { signal, onWait }: { signal?: AbortSignal | undefined; onWait(): void },
  action: () => Promise<T>,
): Promise<T> {
  let waited = false;
  for (let broken = 0; !acquire(path); ) {
    if (abandoned(path)) {
      if (broken++ === MAX_BROKEN) throw tooMany(path);
      rmSync(path, { force: true });
      continue;
    }
    if (!waited) onWait();
    waited = true;
    await sleep(POLL_MS);
    signal?.throwIfAborted();
  }
  const beat = setInterval(() => touch(path), BEAT_MS).unref();
  try {
    return await action();
  } finally {
    clearInterval(beat);
    rmSync(path, { force: true });
  }
}

function acquire(path: string): boolean {
  try {
    const descriptor = openSync(path, "wx");
    writeSync(descriptor, `${hostname()}\n${process.pid}`);
    closeSync(descriptor);
    return true;
  } catch (error) {
    if (errorCode(error) === "EEXIST") return false;
    throw error;
  }
}

function abandoned(path: string): boolean {
  const text = readLock(path);
  const modified = statSync(path, { throwIfNoEntry: false })?.mtimeMs;
  if (text === null || modified === undefined) return false;
  if (Date.now() - modified > STALE_MS) return true;
  const [host, pid] = text.split("\n");
  return host === hostname() && pid !== undefined && !isAlive(Number(pid));
}

/** What the lock says: nothing when it is another user's that is closed to this one, whose touches tell whether it lives. */
function readLock(path: string): string | null {
  try {
    return readLockFile("store data", path);
  } catch (error) {
    if (error instanceof UserError && errorCode(error.cause) === "EACCES") return "";
    throw error;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) !== "ESRCH";
  }
}

function touch(path: string): void {
  const now = new Date();
  try {
    utimesSync(path, now, now);
  } catch {
    // Somebody removed the lock: there is nothing left to keep alive.
  }
}

function tooMany(path: string): UserError {
  return new UserError({
    operation: "store data",
    argument: quoted(path),
    expected: "a lock that can be taken",
    received: `abandoned ones again and again, ${MAX_BROKEN} of which were removed`,
    remedy: "end what makes them, or choose another folder",
  });
}
