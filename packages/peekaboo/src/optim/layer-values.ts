import { quoted, UserError } from "@peekaboo/files/errors";
import { nearest } from "../nearest.js";

/** A value for the names that match a pattern, in which each `*` stands for any text. */
export interface PatternValue {
  readonly pattern: string;
  readonly value: number;
}

/** True where `name` is `pattern`, in which each `*` stands for any text, also none. */
export function matches(pattern: string, name: string): boolean {
  const [head = "", ...parts] = pattern.split("*");
  const tail = parts.pop();
  if (tail === undefined) return pattern === name;
  if (!name.startsWith(head) || !name.endsWith(tail)) return false;
  const end = name.length - tail.length;
  let position = head.length;
  for (const part of parts) {
    const found = name.indexOf(part, position);
    if (found < 0) return false;
    position = found + part.length;
  }
  return position <= end;
}

/**
 * The values of single layers, by name: of the patterns that match a name, the last decides.
 *
 * @throws {UserError} for a pattern that matches none; `flag` names the setting.
 */
export function valuesByLayer(
  flag: string,
  entries: readonly PatternValue[],
  names: readonly string[],
): Map<string, number> {
  const values = new Map<string, number>();
  for (const { pattern, value } of entries) {
    const matching = names.filter((name) => matches(pattern, name));
    if (matching.length === 0) throw unmatched(flag, pattern, names);
    for (const name of matching) values.set(name, value);
  }
  return values;
}

function unmatched(flag: string, pattern: string, names: readonly string[]): UserError {
  const near = nearestTo(pattern, names);
  return new UserError({
    operation: "train",
    argument: flag,
    expected: "patterns that each match a convolution's parameter",
    received: quoted(pattern),
    ...(near === undefined ? {} : { remedy: `the nearest name is ${near}` }),
  });
}

/** The name that begins most like a pattern with a star; else the one most like it as a whole. */
function nearestTo(pattern: string, names: readonly string[]): string | undefined {
  const [head = "", ...rest] = pattern.split("*");
  if (rest.length === 0 || head === "") return nearest(pattern.replaceAll("*", ""), names) ?? names[0];
  const shared = names.map((name) => {
    const different = [...head].findIndex((letter, i) => letter !== name[i]);
    return different < 0 ? head.length : different;
  });
  return names[shared.indexOf(Math.max(...shared))];
}
