import { closeSync, openSync, readFileSync, rmSync, statSync, utimesSync, writeSync } from "node:fs";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";

const BEAT_MS = 2000;
const STALE_MS = 60_000;
const POLL_MS = 200;

/**
 * Runs `action` while holding a lock file, so that processes which share a folder do it one after the other; `onWait`
 * is told once when another holds it. A lock whose process is gone, or which hasn't been touched for a minute, is broken.
 *
 * Should two processes break one lock at the same moment both go on: what the lock guards must bear that.
 */
export async function withLock<T>(
  path: string,
  { signal, onWait }: { signal?: AbortSignal | undefined; onWait(): void },
  action: () => Promise<T>,
): Promise<T> {
  for (let waits = 0; !acquire(path); waits++) {
    if (abandoned(path)) {
      rmSync(path, { force: true });
      continue;
    }
    if (waits === 0) onWait();
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
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

function abandoned(path: string): boolean {
  const modified = statSync(path, { throwIfNoEntry: false })?.mtimeMs;
  if (modified === undefined) return false;
  if (Date.now() - modified > STALE_MS) return true;
  const [host, pid] = readIfThere(path).split("\n");
  return host === hostname() && pid !== undefined && !isAlive(Number(pid));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
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
