import { fileURLToPath } from "node:url";
import { printable } from "./quote.js";

export { parseJson } from "./json.js";
export { printable, quoted } from "./quote.js";

/** What a {@link UserError} is made of: together they read as one sentence. */
export interface UserErrorParts {
  /** What was being done, e.g. "read safetensors" or "train". */
  operation: string;
  /** The argument, field or file at fault. */
  argument: string;
  expected: string;
  received: string;
  /** What the user can do about it, as a clause. */
  remedy?: string;
  cause?: unknown;
}

/** The most characters of one part: each text from outside is shortened before, this is the net below. */
const MAX_PART = 1000;

/**
 * A mistake in what the user gave (an argument, a file, a configuration), told in one sentence.
 * The command line prints the message alone and exits with status 2.
 *
 * A control character in a part is escaped, and a part of more than {@link MAX_PART} characters is cut.
 */
export class UserError extends Error {
  readonly operation: string;
  readonly argument: string;
  readonly expected: string;
  readonly received: string;

  constructor({ operation, argument, expected, received, remedy, cause }: UserErrorParts) {
    const shown = (part: string) => printable(String(part), MAX_PART);
    const advice = remedy === undefined ? "" : `; ${shown(remedy)}`;
    const stop = advice.endsWith("?") ? "" : ".";
    const what = `expected ${shown(expected)} for ${shown(argument)}, received ${shown(received)}`;
    super(`${shown(operation)}: ${what}${advice}${stop}`, { cause });
    this.operation = operation;
    this.argument = argument;
    this.expected = expected;
    this.received = received;
  }

  /** The same mistake with advice that fits where it was made. */
  withRemedy(remedy: string): UserError {
    const { operation, argument, expected, received, cause } = this;
    return new UserError({ operation, argument, expected, received, remedy, cause });
  }
}

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
UserError.prototype.name = "UserError";
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
