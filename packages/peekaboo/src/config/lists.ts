import { takesValue } from "./given.js";
import { integer, type Kind } from "./kinds.js";
import { isOption, type Option, type Table } from "./table.js";

/** The most numbers that FROM..TO stands for. */
const LONGEST_RANGE = 1000;
const end = integer(0);

/** A kind's values with commas between, integers also as `0..2`; a value that has commas itself stands alone. */
export function listOf(kind: Kind<unknown>): Kind<readonly unknown[]> {
  return {
    expected: `${kind.expected}, or several with commas between`,
    fromText(text) {
      const whole = kind.fromText(text);
      if (Array.isArray(whole)) return [whole];
      const values = partsOf(text).map((part) => kind.fromText(part));
      return values.some((value) => value === undefined) ? undefined : values;
    },
    fromJson: () => undefined,
    remedy(text) {
      const wrong = partsOf(text).find((part) => kind.fromText(part) === undefined);
      return wrong === undefined ? undefined : kind.remedy?.(wrong);
    },
  };
}

function partsOf(text: string): string[] {
  return text.split(",").flatMap((part) => {
    const [, first = "", last = ""] = /^\s*(\d+)\.\.(\d+)\s*$/.exec(part) ?? [];
    const [from, to] = [end.fromText(first), end.fromText(last)];
    if (from === undefined || to === undefined || to < from || to - from >= LONGEST_RANGE) return [part];
    return Array.from({ length: to - from + 1 }, (_, i) => String(from + i));
  });
}

/** A table whose flags take lists, but for those that take no value or the path of something. */
export function withLists(table: Table): Table {
  return Object.fromEntries(
    Object.entries(table).map(([name, entry]) => [name, isOption(entry) ? withList(entry) : withLists(entry)]),
  );
}

/** The options that were made by {@link withLists}, and those that they were made of. */
const originals = new WeakMap<object, Option<unknown>>();

function withList(option: Option<unknown>): Option<unknown> {
  if (!takesValue(option) || /<(path|folder|file)>/.test(option.flags)) return option;
  const list: Option<unknown> = { ...option, kind: listOf(option.kind) };
  originals.set(list, option);
  return list;
}

/** The values that somebody gave for options of {@link withLists}, each option's as a list. */
export function listsOf(given: ReadonlyMap<Option<unknown>, unknown>): Map<Option<unknown>, readonly unknown[]> {
  return new Map(
    Array.from(given, ([option, value]) => {
      const original = originals.get(option);
      return original === undefined ? [option, [value]] : [original, value as readonly unknown[]];
    }),
  );
}
