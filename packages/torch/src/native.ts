import { fileURLToPath } from "node:url";
import { cores } from "./cores.js";
import type { NativeDistributed } from "./distributed/native.js";
import { DistributedError, TorchError, type TorchErrorKind } from "./errors.js";
import { loadAddon } from "./loader.js";

declare const handleBrand: unique symbol;
declare const operatorBrand: unique symbol;

/** An opaque tensor of the addon; {@link Tensor} is what the rest of the program holds. */
export type Handle = { readonly [handleBrand]: true };

/** An opaque operator of the dispatcher. */
export type OperatorHandle = { readonly [operatorBrand]: true };

/** The addon's functions, as native/*.cc exports them. Each throws {@link TorchError}. */
export interface Native extends NativeDistributed {
  fromBytes(bytes: Uint8Array, dtype: string, shape: readonly number[], share: boolean): Handle;
  readInto(handle: Handle, bytes: Uint8Array): void;
  /** A bigint where no number is exact. */
  item(handle: Handle): number | bigint;
  shape(handle: Handle): number[];
  dtype(handle: Handle): string;
  device(handle: Handle): string;
  dispose(handle: Handle): void;
  /** No scope will dispose of it: V8 is told of its bytes. */
  unscoped(handle: Handle): void;
  isLive(handle: Handle): boolean;
  liveTensorCount(): number;
  /** The bytes outside its heap that V8 knows of. */
  externalMemory(): number;

  op(name: string): OperatorHandle | null;
  schema(op: OperatorHandle): string;
  call(op: OperatorHandle, ...args: readonly unknown[]): unknown;

  backward(
    outputs: readonly Handle[],
    gradients: readonly (Handle | null)[],
    retainGraph: boolean,
    createGraph: boolean,
  ): void;
  grad(
    outputs: readonly Handle[],
    inputs: readonly Handle[],
    gradients: readonly (Handle | null)[],
    retainGraph: boolean,
    createGraph: boolean,
    allowUnused: boolean,
  ): (Handle | null)[];
  getGrad(handle: Handle): Handle | null;
  setGrad(handle: Handle, gradient: Handle | null): void;
  requiresGrad(handle: Handle): boolean;
  setRequiresGrad(handle: Handle, value: boolean): void;
  isLeaf(handle: Handle): boolean;
  setGradEnabled(enabled: boolean): boolean;

  version(): string;
  buildInformation(): string;
  getThreads(): number;
  setThreads(threads: number): void;
  cudaDeviceCount(): number;
  manualSeed(seed: number): void;
  setDeterministic(deterministic: boolean): void;
  useCuda(index: number): void;
  loadLibrary(path: string): void;
  /** Whether convolutions are right with oneDNN, some of its work done by the addon where it must; else it's off now. */
  mendConvolutions(): boolean;
}

const ADDON_PATH = fileURLToPath(new URL("../build/Release/torch.node", import.meta.url));

/**
 * Makes OpenMP's threads sleep soon where they wait for each other. GNU's runtime otherwise spins for milliseconds,
 * which slows a machine with anything else to do (bench/contention.ts). It reads the variable when libtorch brings it
 * in; whoever sets one of the two decides.
 */
function sleepInsteadOfSpinning(): void {
  if (process.env.OMP_WAIT_POLICY === undefined) process.env.GOMP_SPINCOUNT ??= "10000";
}

/**
 * Keeps UCX, which Debian 13's libtorch brings in with MPI, from taking signals to itself as it is loaded: SIGHUP, which
 * it would wait for in order to show a debugger, and those of a crash. Whoever sets one of the two decides.
 */
function leaveSignals(): void {
  process.env.UCX_DEBUG_SIGNO ??= "0";
  process.env.UCX_HANDLE_ERRORS ??= "none";
}

const ONEDNN_IS_OFF =
  "this libtorch's oneDNN computes convolutions wrongly; they run without it, many times as slowly. Use another libtorch (set LIBTORCH and build again)";

let loaded: Native | undefined;

/** The addon, loaded at the first call. @throws {UserError} with the cause and the cure when that fails. */
export function native(): Native {
  loaded ??= load();
  return loaded;
}

function load(): Native {
  sleepInsteadOfSpinning();
  leaveSignals();
  const addon = withTypedErrors(loadAddon<Native>(ADDON_PATH));
  // OpenMP starts with one thread in Debian's build.
  addon.setThreads(cores().count);
  if (!addon.mendConvolutions()) process.emitWarning(ONEDNN_IS_OFF);
  return addon;
}

/** The same functions, throwing {@link TorchError} with the stack of their call. */
function withTypedErrors(addon: Native): Native {
  const wrap = (run: (...args: unknown[]) => unknown) =>
    function guarded(...args: unknown[]): unknown {
      try {
        return run(...args);
      } catch (error) {
        throw typedError(error);
      }
    };
  return Object.fromEntries(Object.entries(addon).map(([name, run]) => [name, wrap(run)])) as unknown as Native;
}

/** What the fields of an addon's error make of it. */
interface AddonError extends Error {
  kind?: TorchErrorKind | "distributed";
  operation?: string;
  argument?: string;
  ranks?: number[];
}

/** The addon's error as {@link TorchError} or {@link DistributedError}; any other as it is. */
export function typedError(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { kind, operation, argument, ranks, message } = error as AddonError;
  if (kind === undefined || operation === undefined) return error;
  if (kind === "distributed") return new DistributedError(operation, message, ranks);
  return new TorchError(kind, operation, argument, message);
}

/** An operator of the dispatcher, looked up when it is first called. */
export class Operator {
  readonly name: string;
  #handle: OperatorHandle | undefined;

  /** @param name for instance "aten::add.Tensor" */
  constructor(name: string) {
    this.name = name;
  }

  /** @throws {TorchError} when this libtorch has no such operator. */
  get handle(): OperatorHandle {
    this.#handle ??= this.#find();
    return this.#handle;
  }

  #find(): OperatorHandle {
    const found = native().op(this.name);
    if (found !== null) return found;
    throw new TorchError("torch", this.name, undefined, `libtorch ${native().version()} has no such operator`);
  }

  /** The schema as libtorch prints it. */
  get schema(): string {
    return native().schema(this.handle);
  }

  /**
   * A boxed call with handles in place of tensors; undefined takes the schema's default. Wrap every handle that comes
   * back in a Tensor: nothing else frees it.
   *
   * @throws {TorchError} naming the operator, and the argument that does not fit its schema.
   */
  call(...args: readonly unknown[]): unknown {
    const result = native().call(this.handle, ...args);
    watch?.(this.name, args, result);
    return result;
  }
}

/** Hears of every operator's call: its name, its arguments and its result, handles in place of tensors. */
export type CallWatch = (name: string, args: readonly unknown[], result: unknown) => void;

let watch: CallWatch | null = null;

/** The shape of a tensor by its handle. */
export function shapeOfHandle(handle: Handle): number[] {
  return native().shape(handle);
}

/** Runs something with a watch on the operators that it calls itself; what backward passes call isn't heard of. */
export function watchCalls<T>(heard: CallWatch, run: () => T): T {
  const before = watch;
  watch = heard;
  try {
    return run();
  } finally {
    watch = before;
  }
}
