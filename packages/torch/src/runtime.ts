import { UserError } from "@peekaboo/files/errors";
import { cores } from "./cores.js";
import { native } from "./native.js";
import { scope } from "./scope.js";
import { full } from "./tensor.js";

/** libtorch's version, e.g. "1.13.0". */
export function torchVersion(): string {
  return native().version();
}

/** How libtorch was built, as it says itself. */
export function buildInformation(): string {
  return native().buildInformation();
}

/** The number of threads that one operation uses. */
export function getThreads(): number {
  return native().getThreads();
}

/** Sets the number of threads that one operation uses. @throws {UserError} unless it is a whole number from 1 to 1024. */
export function setThreads(threads: number): void {
  if (!Number.isInteger(threads) || threads < 1 || threads > 1024) {
    throw new UserError({
      operation: "set threads",
      argument: "threads",
      expected: "a whole number from 1 to 1024",
      received: String(threads),
      remedy: `there are ${cores().count} here`,
    });
  }
  native().setThreads(threads);
}

/** Whether operators give zero where a result is denormal, as computed here and now: they do on x86 and ARM. */
export function flushesDenormals(): boolean {
  return scope(() => full([1], 1e-20).mul(1e-20).item() === 0);
}

/** The devices that this libtorch can use: "cpu", then "cuda:0", … */
export function devices(): string[] {
  return ["cpu", ...Array.from({ length: native().cudaDeviceCount() }, (_, i) => `cuda:${i}`)];
}

/** Checks that a device is there. @throws {UserError} with the list of those that are. */
export function checkDevice(device: string): string {
  const there = devices();
  const name = device === "cuda" ? "cuda:0" : device;
  if (there.includes(name)) return name;
  throw new UserError({
    operation: "choose device",
    argument: "device",
    expected: there.join(" or "),
    received: `"${device}"`,
    remedy: "a cuda device needs a CUDA build of libtorch (set LIBTORCH to it and build again) and a GPU",
  });
}

/**
 * Gets a device that is there ready: "cuda" means this one from now on, and convolutions and matrix products on it compute in
 * float32 itself, not in TensorFloat-32, and the same way each time. Of the CPU there is nothing to get ready.
 */
export function useDevice(device: string): void {
  const [, index] = /^cuda:(\d+)$/.exec(checkDevice(device)) ?? [];
  if (index === undefined) return;
  // cuBLAS reads it at its first use; without it, products differ from run to run where several streams are in use.
  process.env.CUBLAS_WORKSPACE_CONFIG ??= ":4096:8";
  native().useCuda(Number(index));
}

/**
 * Loads a shared library that registers operators (TORCH_LIBRARY), as torch.ops.load_library does; once is enough for
 * all threads.
 * @throws {TorchError} when it can't be loaded. One that registers names a second time (a copy of a library that
 * is loaded already) ends the process, as it does in PyTorch: its initialiser throws where nothing can catch it.
 */
export function loadLibrary(path: string): void {
  native().loadLibrary(path);
}

/** Seeds libtorch's own generators (dropout, rand, `nn.init`) with a whole number from 0. */
export function manualSeed(seed: number): void {
  native().manualSeed(seed);
}

/** Whether to prefer deterministic algorithms where a device has both. */
export function setDeterministic(deterministic: boolean): void {
  native().setDeterministic(deterministic);
}
