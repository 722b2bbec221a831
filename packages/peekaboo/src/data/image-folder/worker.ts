// A thread of the pool; see pool.ts.
import { parentPort } from "node:worker_threads";
import { type Job, LANES_PER_THREAD, lane } from "./job.js";

const lanes = Array.from({ length: LANES_PER_THREAD }, () => lane((report) => parentPort?.postMessage(report)));
parentPort?.on("message", (job: Job) => {
  for (const take of lanes) take(job);
});
