// A process that trains one network in one way, a step for each line that it reads: contestant.js WAY WORKLOAD, the workload in
// JSON. Says `{}` when it is ready, and after each step what that took and the most memory so far.
import { createInterface } from "node:readline";
import { ops } from "@peekaboo/torch";
import { pabOps } from "#peekaboo/native/library";
import { peakBytes } from "../statistics.js";
import { batchesOf, isOurs, stepOf, type Way } from "./trained.js";
import type { Workload } from "./workloads.js";

const [way, workload] = [process.argv[2] as Way, JSON.parse(process.argv[3] ?? "") as Workload];
// The original's and libtorch's own ways have its default layout and allocator.
const ours = isOurs(way);
pabOps().reuseMemory(ours);
const batches = batchesOf(workload);
if (!ours) for (const batch of batches) batch.input = ops.contiguous(batch.input);
const step = stepOf(way, workload);

const say = (reply: object) => process.stdout.write(`${JSON.stringify(reply)}\n`);
say({});
let taken = 0;
for await (const _ of createInterface({ input: process.stdin })) {
  const batch = batches[taken++ % batches.length];
  if (batch === undefined) throw new Error("no batches");
  const [begun, before] = [performance.now(), process.cpuUsage()];
  const loss = step(batch);
  const { user, system } = process.cpuUsage(before);
  say({ seconds: (performance.now() - begun) / 1000, processor: (user + system) / 1e6, loss, peak: peakBytes() });
}
