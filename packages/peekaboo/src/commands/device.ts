import { devices, setThreads, useDevice } from "@peekaboo/torch";
import { cores, memoryLimits } from "@peekaboo/torch/cores";
import { type Config, wantedDevice } from "../config/config.js";
import { pabOps } from "../native/library.js";
import { THREADS_SETTING, type Threads } from "../runs/environment.js";
import type { Reporter } from "../training/reporter.js";

/** Sets the thread count: what --threads says, else a share for each of `processes` of this machine. */
export function chooseThreads({ threads }: Config<"threads">, reporter: Reporter, processes = 1): Threads {
  const { count, why, ignored } =
    threads === null ? cores(processes) : { count: threads, why: THREADS_SETTING, ignored: [] };
  for (const text of ignored) reporter.note?.(`${text}.`);
  setThreads(count);
  return { count, why };
}

export function threadsInWords({ count, why }: Threads): string {
  return `${count} ${count === 1 ? "thread" : "threads"}: ${why}.`;
}

/**
 * Lets tensors take over freed memory, within what the container leaves to each of `processes`, and chooses the device; `reporter`
 * hears of a GPU that isn't there.
 */
export function prepareDevice(config: Config<"device" | "useCuda">, reporter: Reporter, processes = 1): string {
  for (const { limit, usage, stat } of memoryLimits()) pabOps().limitMemory(limit, { usage, stat, processes });
  pabOps().reuseMemory(true);
  const { name, required } = wantedDevice(config);
  if (required || devices().includes(name)) {
    useDevice(name);
    return name;
  }
  reporter.note?.(`There is no ${name} here: computing on the CPU.`);
  return "cpu";
}
