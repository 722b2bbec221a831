import { Worker } from "node:worker_threads";

/**
 * Ends this process after its supervisor: with SIGTERM, to which it saves, and half a minute later with SIGKILL. A thread
 * of its own watches, for this one may be waiting inside a collective.
 */
export function watchSupervisor(): void {
  const watcher = new Worker(new URL("./lifeline-watcher.js", import.meta.url), { execArgv: [] });
  watcher.unref();
  // Somebody else's environment may hold our marker, and no lifeline.
  watcher.on("error", () => {});
}
