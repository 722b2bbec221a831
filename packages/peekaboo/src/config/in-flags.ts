import { isOption, longFlags, type Table } from "./table.js";

/** A text that was quoted from outside, or the name of a setting in backticks. */
const QUOTED_OR_SETTING = /"(?:[^"\\]|\\.)*"|`([A-Za-z][\w.]*)`/g;

/**
 * Puts flags where a sentence of the library names settings: `--lr` for `sgd.lr`, or for `lr`, which is one setting's
 * name alone. What no table has stays as it is.
 */
export function inFlags(text: string, ...tables: readonly Table[]): string {
  return text.replace(QUOTED_OR_SETTING, (whole, path?: string) => {
    const [flag] = path === undefined ? [] : tables.flatMap((table) => flagsOf(table, path));
    return flag ?? whole;
  });
}

/** The first flags of the settings at a path, or, where there is none, of those with that name within other tables. */
function flagsOf(table: Table, path: string): string[] {
  const [name = "", ...inner] = path.split(".");
  const entry = Object.hasOwn(table, name) ? table[name] : undefined;
  if (entry !== undefined && inner.length > 0) return isOption(entry) ? [] : flagsOf(entry, inner.join("."));
  if (entry !== undefined) return isOption(entry) ? longFlags(entry).slice(0, 1) : [];
  if (inner.length > 0) return [];
  return Object.values(table).flatMap((other) => (isOption(other) ? [] : flagsOf(other, name)));
}
