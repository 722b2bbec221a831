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
 * A control character in a part is escaped, and a part of more than MAX_PART characters is cut.
 */
export class UserError extends Error {
  readonly operation: string;
  readonly argument: string;
  readonly expected: string;
  readonly received: string;
  readonly remedy: string | undefined;

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
    this.remedy = remedy;
  }

  /** The same mistake with advice that fits where it was made. */
  withRemedy(remedy: string): UserError {
    const { operation, argument, expected, received, cause } = this;
    return new UserError({ operation, argument, expected, received, remedy, cause });
  }
}

// On the prototype, because the first line of a stack is written before a field of the instance is set.
UserError.prototype.name = "UserError";
