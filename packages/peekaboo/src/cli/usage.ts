import { printable, quoted, UserError } from "@peekaboo/files/errors";
import { DistributedError, TorchError } from "@peekaboo/torch/errors";
import { type Command, CommanderError } from "commander";
import { EXIT } from "../console/exit.js";
import { Interrupted } from "../console/interrupt.js";
import type { Io } from "../console/io.js";
import { nearest } from "../nearest.js";
import { inWords } from "./in-words.js";

/** The most characters of a line that isn't made of parts which are bounded already. */
const LONGEST = 1000;

/** A command line that isn't one: an unknown command or flag, a value missing, an argument too many. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** What commander reports, as one sentence with the nearest name; its end after `--help` and `--version` as it is. */
export function usageError(command: Command, error: CommanderError): Error {
  if (error.exitCode === 0 || error.code === "commander.help") return error;
  const path = commandPath(command);
  const complaint = error.message.replace(/^error: /, "");
  const named = complaint.match(/^unknown (option|command) '([^=]+?)(=.*)?'$/s);
  if (named === null) return new UsageError(`${path}: ${printable(complaint.replaceAll("\n", " "))}.`);
  const [, kind, name = ""] = named;
  const near = nearest(name, kind === "option" ? flagsOf(command) : command.commands.map((known) => known.name()));
  const advice = near === undefined ? `see \`${path} --help\`.` : `did you mean ${near}?`;
  return new UsageError(`${path}: unknown ${kind === "option" ? "flag" : kind} ${printable(name)}; ${advice}`);
}

/** @throws {UsageError} when the command line holds more arguments than `command` takes. */
export function refuseExcess(command: Command): void {
  if (command.registeredArguments.at(-1)?.variadic === true) return;
  const excess = command.args.slice(command.registeredArguments.length);
  if (excess.length === 0) return;
  const list = excess.map((argument) => quoted(argument)).join(", ");
  throw new UsageError(`${commandPath(command)}: unexpected ${list}; see \`${commandPath(command)} --help\`.`);
}

/**
 * Tells a failure on stderr and returns the exit status: 2 for the user's mistakes and too little memory, 1 for ours and for other processes
 * that are lost, 128 + n after signal n.
 *
 * @param command whose flags may help
 */
export function reportFailure(error: unknown, { stderr }: Io, command = ""): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (error instanceof Interrupted) return error.exitStatus;
  if (error instanceof UserError || error instanceof UsageError) {
    stderr.write(`${inWords(error.message)}\n`);
    return EXIT.usage;
  }
  if (error instanceof TorchError && error.kind === "memory") {
    stderr.write(`${outOfMemory(error, command)}\n`);
    return EXIT.usage;
  }
  if (error instanceof DistributedError) {
    stderr.write(`${printable(error.message, LONGEST)}.\n`);
    return EXIT.lost;
  }
  const trace = error instanceof Error ? (error.stack ?? error.message) : String(error);
  const lines = trace.split("\n").map((line) => printable(line, LONGEST));
  stderr.write(`peekaboo: this should not have happened; please report it with these lines:\n${lines.join("\n")}\n`);
  return EXIT.bug;
}

/** A command's name after those of its parents. */
export function commandPath(command: Command): string {
  return command.parent === null ? command.name() : `${commandPath(command.parent)} ${command.name()}`;
}

function flagsOf(command: Command): string[] {
  const flags = command.options.flatMap(({ short, long }) => [short, long]);
  return ["--help", ...flags.filter((flag) => flag !== undefined)].filter((flag) => flag.startsWith("--"));
}

/** The flag of each command by which it takes less memory. */
const SMALLER: ReadonlyMap<string, string> = new Map([
  ["train", "--width"],
  ["prune", "--width"],
  ["models", "--width"],
  ["evaluate", "--bs"],
]);

function outOfMemory({ operation, message }: TorchError, command: string): string {
  const flag = SMALLER.get(command);
  const ways = flag === undefined ? "free some, or raise its limit" : `free some, raise its limit, or lower ${flag}`;
  const [asked = "more"] = /\d+ bytes/.exec(message) ?? [];
  return `peekaboo: there is not enough memory: ${operation} could not get ${asked}; ${ways}.`;
}
