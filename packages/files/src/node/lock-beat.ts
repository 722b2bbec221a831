// The thread that FileLock starts: it touches the lock as long as it is this process's.
import { workerData } from "node:worker_threads";
import { touchLock } from "./lock-file.js";

const { path, text, beatMs } = workerData as { path: string; text: string; beatMs: number };

const beat = setInterval(() => {
  if (!touchLock(path, text)) clearInterval(beat);
}, beatMs);
