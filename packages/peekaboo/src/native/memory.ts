import { TorchError } from "@peekaboo/torch";
import { pabOps } from "./library.js";

/** Gives the memory of freed tensors back to the system, where what comes next needs less than what was. */
export function releaseMemory(): void {
  pabOps().reuseMemory(false);
  pabOps().reuseMemory(true);
}

/** Whether libtorch could not get the memory that it asked for, or V8 that of a buffer. */
export function isOutOfMemory(error: unknown): error is Error {
  if (error instanceof RangeError) return error.message === "Array buffer allocation failed";
  return error instanceof TorchError && error.kind === "memory";
}
