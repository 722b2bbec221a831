import { fileURLToPath } from "node:url";

/** What went wrong inside libtorch: a wrong argument, memory that was not to be had, or libtorch's own refusal. */
export type TorchErrorKind = "argument" | "memory" | "torch";

/**
 * A C++ exception of libtorch, with the operation, the argument where it is known, and a JavaScript stack that starts
 * where this package was called.
 */
export class TorchError extends Error {
  readonly kind: TorchErrorKind;
  readonly operation: string;
  readonly argument: string | undefined;

  constructor(kind: TorchErrorKind, operation: string, argument: string | undefined, message: string) {
    super(`${operation}: ${message}`);
    this.kind = kind;
    this.operation = operation;
    this.argument = argument;
    this.stack = withoutOwnFrames(this.stack);
  }
}

/** Processes that can't work together any more: one is gone, or did not take part in time. */
export class DistributedError extends Error {
  readonly operation: string;
  /** The ranks at fault, as far as they are known. */
  readonly ranks: readonly number[];

  constructor(operation: string, message: string, ranks: readonly number[] = [], options: ErrorOptions = {}) {
    super(`${operation}: ${message}`, options);
    this.operation = operation;
    this.ranks = ranks;
  }
}

// On the prototypes, because the first line of a stack is written before a field of the instance is set.
TorchError.prototype.name = "TorchError";
DistributedError.prototype.name = "DistributedError";

const FOLDER = fileURLToPath(new URL(".", import.meta.url));
const OWN_FRAMES = ["native", "tensor", "tensor-base", "autograd", "runtime", "generated/ops"].map(
  (module) => `${FOLDER}${module}.`,
);

/** A stack without the frames between the addon and this package's caller. */
function withoutOwnFrames(stack = ""): string {
  const lines = stack.split("\n");
  const isFrame = (line: string) => line.startsWith("    at ");
  const first = lines.findIndex(isFrame);
  const caller = lines.findIndex((line) => isFrame(line) && !OWN_FRAMES.some((own) => line.includes(own)));
  return first < 0 || caller < 0 ? stack : [...lines.slice(0, first), ...lines.slice(caller)].join("\n");
}
