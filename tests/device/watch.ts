import { fileURLToPath } from "node:url";
import { loadLibrary, Operator } from "@peekaboo/torch";

const call = (name: string) => new Operator(`watch::${name}`).call() as number;

let loaded = false;

/** What has happened on the devices since `work` began (native/watch.cc). */
export interface Seen {
  /** How often the CPU waited for a device. */
  waits: number;
  /** Copies to a device, and their bytes. */
  copies: number;
  copiedBytes: number;
  /** The bytes of tensors there at the end, as the allocator tells; -1 when it told nothing. */
  allocated: number;
}

/** Runs `work` and tells what it did to devices. */
export function watched(work: () => void): Seen {
  if (!loaded) loadLibrary(fileURLToPath(new URL("../build/watch.so", import.meta.url)));
  loaded = true;
  call("start");
  work();
  return {
    waits: call("waits"),
    copies: call("copies"),
    copiedBytes: call("copied_bytes"),
    allocated: call("allocated"),
  };
}
