import type { Command, Option } from "commander";
import { commandPath, UsageError } from "./usage.js";

/**
 * A command line with its long flags written out: an unambiguous beginning (`--prune-rat 0.3`, `--prune-rat=0.3`) counts as
 * the flag, as with Python's argparse; a whole name always means itself. Values of flags stay as they are, and so does what
 * follows `--`. A beginning of no flag is left to the parser's complaint.
 *
 * @throws {UsageError} for a beginning of several flags, naming them.
 */
export function writtenOut(program: Command, argv: readonly string[]): string[] {
  let command = program;
  const words: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] ?? "";
    if (word === "--") return [...words, ...argv.slice(i)];
    if (!word.startsWith("-") || word.length === 1) {
      command = command.commands.find((known) => known.name() === word) ?? command;
      words.push(word);
      continue;
    }
    const whole = word.startsWith("--") ? longFlag(command, word) : word;
    words.push(whole);
    const value = argv[i + 1];
    if (value !== undefined && takesNext(command, whole, value)) {
      words.push(value);
      i++;
    }
  }
  return words;
}

function longFlag(command: Command, word: string): string {
  const [name = "", ...rest] = word.split(/(?==)/);
  const known = flagsOf(command);
  if (known.has(name) || name === "--") return word;
  const meant = [...known.keys()].filter((flag) => flag.startsWith(name));
  const [flag] = meant;
  if (flag === undefined) return word;
  if (new Set(meant.map((candidate) => known.get(candidate))).size === 1) return [flag, ...rest].join("");
  throw new UsageError(
    `${commandPath(command)}: ${name} is the beginning of several flags: ${meant.join(", ")}; write more of it.`,
  );
}

/** Whether the next word is this flag's value, as commander decides it. */
function takesNext(command: Command, word: string, next: string): boolean {
  const option = flagsOf(command).get(word);
  if (option === undefined || option === "help") return false;
  return option.required || (option.optional && !next.startsWith("-"));
}

/** What a command understands, its parents' flags included: of two commands' flags of a name, the parent's counts. */
function flagsOf(command: Command): Map<string, Option | "help"> {
  const flags = new Map<string, Option | "help">([["--help", "help"]]);
  for (let at: Command | null = command; at !== null; at = at.parent) {
    for (const option of at.options) {
      for (const flag of [option.short, option.long]) if (typeof flag === "string") flags.set(flag, option);
    }
  }
  return flags;
}
