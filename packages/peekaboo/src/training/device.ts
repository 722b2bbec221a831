import { availableParallelism } from "node:os";
import { devices, setThreads, useDevice } from "@peekaboo/torch";
import { type TrainConfig, wantedDevice } from "../config.js";
import { pabOps } from "../native/library.js";

/** Gives the memory of freed tensors back to the system, where what comes next needs less than what was. */
export function releaseMemory(): void {
  pabOps().reuseMemory(false);
  pabOps().reuseMemory(true);
}

/** Sets the thread count, lets tensors take over freed memory, and chooses the device; `note` hears of a GPU that isn't there. */
export function prepareDevice(
  config: Pick<TrainConfig, "device" | "useCuda" | "threads">,
  note: (text: string) => void,
): string {
  setThreads(config.threads ?? availableParallelism());
  pabOps().reuseMemory(true);
  const { name, required } = wantedDevice(config);
  if (required || devices().includes(name)) {
    useDevice(name);
    return name;
  }
  note(`There is no ${name} here: computing on the CPU.`);
  return "cpu";
}
