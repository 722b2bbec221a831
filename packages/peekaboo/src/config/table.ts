import { printable, UserError } from "@peekaboo/files/errors";
import { nearest } from "../nearest.js";
import type { Kind } from "./kinds.js";

/** One setting: its flags, its kind, its default and its help. */
export interface Option<V> {
  /** As `--help` shows them, aliases with commas between: `--bs, --batch-size <n>`. */
  readonly flags: string;
  readonly kind: Kind<V>;
  readonly default: NoInfer<V>;
  /** What the help calls a default that has no value of its own: "all cores". */
  readonly defaultText?: string;
  /** The value when the flag stands without one. */
  readonly bare?: NoInfer<V>;
  /** One sentence. */
  readonly help: string;
}

/** Settings by name, nested as the configuration is. */
export interface Table {
  readonly [name: string]: Option<unknown> | Table;
}

/** What a table's settings are worth. */
export type Values<T> = {
  readonly [K in keyof T]: T[K] extends Option<infer V> ? V : Values<T[K]>;
};

/** Checks that an option's default and bare value are of its kind; returns it unchanged. */
export function option<V>(definition: Option<V>): Option<V> {
  return definition;
}

/** True for a setting, false for a table of them. */
export function isOption(entry: Option<unknown> | Table): entry is Option<unknown> {
  return typeof entry.flags === "string";
}

/** All the settings of a table, in order, nested ones included. */
export function optionsOf(table: Table): Option<unknown>[] {
  return Object.values(table).flatMap((entry) => (isOption(entry) ? [entry] : optionsOf(entry)));
}

/** The long flags of an option, e.g. `--bs`, `--batch-size`. */
export function longFlags(option: Option<unknown>): string[] {
  return option.flags.match(/--[\w-]+/g) ?? [];
}

/** A table's values: those in `given`, and the defaults. */
export function valuesFromFlags<T extends Table>(table: T, given: ReadonlyMap<Option<unknown>, unknown>): Values<T> {
  const values = Object.entries(table).map(([name, entry]) => [
    name,
    isOption(entry) ? (given.has(entry) ? given.get(entry) : entry.default) : valuesFromFlags(entry, given),
  ]);
  return Object.fromEntries(values);
}

/**
 * A table's values from parsed JSON; what is absent takes its default.
 * @throws {UserError} for an unknown name or an invalid value, by its path (`pruning.density`).
 */
export function valuesFromJson<T extends Table>(table: T, json: unknown, path = ""): Values<T> {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw invalidJson(path === "" ? "the configuration" : path, "an object", json);
  }
  const fields = new Map<string, unknown>(Object.entries(json));
  const prefix = path === "" ? "" : `${path}.`;
  for (const name of fields.keys()) {
    if (!Object.hasOwn(table, name)) throw unknownField(prefix, name, Object.keys(table));
  }
  const values = Object.entries(table).map(([name, entry]) => {
    const field = fields.get(name);
    if (!isOption(entry)) return [name, valuesFromJson(entry, field === undefined ? {} : field, prefix + name)];
    if (field === undefined) return [name, entry.default];
    const value = valueFromJson(entry.kind, field);
    if (value === undefined) throw invalidJson(prefix + name, entry.kind.expected, field, entry.kind);
    return [name, value];
  });
  return Object.fromEntries(values);
}

function valueFromJson<V>(kind: Kind<V>, json: unknown): V | undefined {
  const value = kind.fromJson(json);
  const isText = typeof json === "string" || typeof json === "number";
  return value === undefined && kind.structured && isText ? kind.fromText(String(json)) : value;
}

function invalidJson(argument: string, expected: string, received: unknown, kind?: Kind<unknown>): UserError {
  const shown = JSON.stringify(received) ?? "nothing";
  const remedy = kind?.remedy?.(typeof received === "string" ? received : shown);
  return new UserError({
    operation: "read the configuration",
    argument,
    expected,
    received: printable(shown, 80),
    ...(remedy === undefined ? {} : { remedy }),
  });
}

/** The error for a setting that there is none of, with the nearest name. */
export function unknownField(prefix: string, name: string, known: readonly string[]): UserError {
  const near = nearest(name, known);
  return new UserError({
    operation: "read the configuration",
    argument: printable(`${prefix}${name}`),
    expected: "a known setting",
    received: "an unknown one",
    ...(near === undefined ? {} : { remedy: `did you mean ${prefix}${near}?` }),
  });
}
