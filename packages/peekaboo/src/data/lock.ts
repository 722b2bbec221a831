import { setTimeout as sleep } from "node:timers/promises";
import { FileLock } from "@peekaboo/files";

const POLL_MS = 200;

/**
 * Runs `action` while holding a lock file, so that processes which share a folder do it one after the other; `onWait`
 * is told once when another holds it, or may.
 *
 * @throws {UserError} when something else stands in the lock's place.
 */
export async function withLock<T>(
  path: string,
  { signal, onWait, beatMs }: { signal?: AbortSignal | undefined; onWait(): void; beatMs?: number },
  action: () => Promise<T>,
): Promise<T> {
  let waits = false;
  const onWatch = () => {
    if (!waits) onWait();
    waits = true;
  };
  const onHeld = async () => {
    onWatch();
    await sleep(POLL_MS);
    signal?.throwIfAborted();
  };
  using _lock = await FileLock.acquire(path, { operation: "store data", onHeld, onWatch, signal, beatMs });
  return await action();
}
