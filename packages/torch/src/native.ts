import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { TorchError, type TorchErrorKind, UserError } from "./errors.js";

declare const handleBrand: unique symbol;
declare const operatorBrand: unique symbol;

/** An opaque tensor of the addon; {@link Tensor} is what the rest of the program holds. */
export type Handle = { readonly [handleBrand]: true };

/** An opaque operator of the dispatcher. */
export type OperatorHandle = { readonly [operatorBrand]: true };

/** The addon's functions, as native/*.cc exports them. */
export interface Native {
  fromBytes(bytes: Uint8Array, dtype: number, shape: readonly number[], share: boolean): Handle;
  toBytes(handle: Handle): ArrayBuffer;
  item(handle: Handle): number;
  shape(handle: Handle): number[];
  dtype(handle: Handle): number;
  device(handle: Handle): string;
  dispose(handle: Handle): void;
  isLive(handle: Handle): boolean;
  liveTensorCount(): number;

  op(name: string): OperatorHandle | null;
  schema(op: OperatorHandle): string;
  call(op: OperatorHandle, ...args: readonly unknown[]): unknown;

  backward(outputs: Handle[], gradients: (Handle | null)[], retainGraph: boolean, createGraph: boolean): void;
  grad(
    outputs: Handle[],
    inputs: Handle[],
    gradients: (Handle | null)[],
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
  loadLibrary(path: string): void;
}

const addonPath = fileURLToPath(new URL("../build/Release/torch.node", import.meta.url));

/** What a failed load of the addon means, and its cure. */
export function diagnoseLoadFailure(message: string, path: string): UserError {
  const failure = (expected: string, remedy: string) =>
    new UserError({ operation: "load libtorch", argument: `the addon ${path}`, expected, received: message, remedy });
  if (!existsSync(path)) return failure("a built addon", "build it with `npm run build` in the project's folder");
  if (/cannot open shared object file/.test(message)) {
    return failure(
      "the libtorch that it was built with",
      "install libtorch (Debian: `apt-get install --no-install-recommends libtorch-dev libgloo-dev`) or set LIBTORCH, then `npm run build`",
    );
  }
  if (/undefined symbol|NODE_MODULE_VERSION|invalid ELF|wrong ELF class|version `.*' not found/.test(message)) {
    return failure(
      "an addon built for this libtorch and this Node",
      "libtorch or Node changed since: build it again with `npm run build`",
    );
  }
  return failure("a loadable addon", "build it again with `npm run build`");
}

/**
 * Makes OpenMP's threads sleep soon where they wait for each other. GNU's runtime otherwise spins for milliseconds,
 * which slows a machine with anything else to do (bench/contention.ts). It reads the variable when libtorch brings it
 * in; whoever sets one of the two decides.
 */
function sleepInsteadOfSpinning(): void {
  if (process.env.OMP_WAIT_POLICY === undefined) process.env.GOMP_SPINCOUNT ??= "10000";
}

let loaded: Native | undefined;

/** The addon, loaded at the first call. Throws UserError with the cause and the cure when that fails. */
export function native(): Native {
  if (loaded === undefined) {
    try {
      sleepInsteadOfSpinning();
      loaded = createRequire(import.meta.url)(addonPath) as Native;
    } catch (error) {
      throw diagnoseLoadFailure(
        error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error),
        addonPath,
      );
    }
    // OpenMP starts with one thread in Debian's build.
    loaded.setThreads(availableParallelism());
  }
  return loaded;
}

interface NativeErrorFields {
  kind?: TorchErrorKind;
  operation?: string;
  argument?: string;
}

/** Runs `body`, turning the addon's errors into {@link TorchError} with the stack of this call. */
export function guarded<Result>(body: (addon: Native) => Result): Result {
  const addon = native();
  try {
    return body(addon);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const { kind, operation, argument } = error as NativeErrorFields;
    if (kind === undefined || operation === undefined) throw error;
    throw new TorchError(kind, operation, argument, error.message);
  }
}

/** An operator of the dispatcher, looked up when it is first called. */
export class Operator {
  readonly name: string;
  #handle: OperatorHandle | undefined;

  /** @param name for instance "aten::add.Tensor" */
  constructor(name: string) {
    this.name = name;
  }

  get handle(): OperatorHandle {
    if (this.#handle === undefined) {
      const found = native().op(this.name);
      if (found === null) {
        throw new TorchError("torch", this.name, undefined, `libtorch ${native().version()} has no such operator`);
      }
      this.#handle = found;
    }
    return this.#handle;
  }

  /** The schema as libtorch prints it. */
  get schema(): string {
    return native().schema(this.handle);
  }

  /** A boxed call with handles in place of tensors; undefined takes the schema's default. */
  call(...args: readonly unknown[]): unknown {
    const { handle } = this;
    return guarded((addon) => addon.call(handle, ...args));
  }
}
