// The thread that RunLock starts: it touches the lock as long as it is this run's.
import { utimesSync } from "node:fs";
import { workerData } from "node:worker_threads";
import { lockText } from "@peekaboo/files";
import { z } from "zod";

const { path, text, beatMs } = z
  .object({ path: z.string(), text: z.string(), beatMs: z.number().positive() })
  .parse(workerData);

const beat = setInterval(() => {
  try {
    const found = lockText(path);
    if (found === null) return;
    if (found !== text) return clearInterval(beat);
    const now = new Date();
    utimesSync(path, now, now);
  } catch {
    // The folder is gone or out of reach for a moment: the next beat tries again.
  }
}, beatMs);
