import { trainOptions } from "./options.js";
import { isOption, longFlags, type Option, type Table, unknownField, valuesFromJson } from "./table.js";

/** Settings that somebody gave, and their values. */
export type Given = ReadonlyMap<Option<unknown>, unknown>;

/** A setting of training and its path in the configuration: `pruning.density`. */
export interface NamedOption {
  readonly path: string;
  readonly option: Option<unknown>;
}

/** Every setting of training with its path, in the table's order. */
export const namedOptions: readonly NamedOption[] = named(trainOptions);

function named(table: Table, prefix = ""): NamedOption[] {
  return Object.entries(table).flatMap(([name, entry]) => {
    const path = `${prefix}${name}`;
    return isOption(entry) ? [{ path, option: entry }] : named(entry, `${path}.`);
  });
}

const byPath: ReadonlyMap<string, Option<unknown>> = new Map(namedOptions.map(({ path, option }) => [path, option]));

/** A setting's path. */
export function pathOf(option: Option<unknown>): string {
  return namedOptions.find((one) => one.option === option)?.path ?? "";
}

/** The value at a path of a configuration, or of other nested JSON; undefined where there is none. */
export function valueAt(config: object, path: string): unknown {
  return path.split(".").reduce<unknown>((value, name) => (isRecord(value) ? value[name] : undefined), config);
}

/**
 * The settings that JSON names, by their paths (`"pruning.density": 0.1`) or nested as in `config.json`.
 *
 * @throws {UserError} for an unknown setting or an invalid value.
 */
export function givenFromJson(json: Readonly<Record<string, unknown>>, prefix = ""): Map<Option<unknown>, unknown> {
  const given = new Map<Option<unknown>, unknown>();
  for (const [name, value] of Object.entries(json)) {
    const path = `${prefix}${name}`;
    const option = byPath.get(path);
    if (option !== undefined) given.set(option, checkedValue(path, value));
    else if (path === "pruning" && value === null) given.set(trainOptions.pruning.pruner, null);
    else if (isRecord(value)) for (const one of givenFromJson(value, `${path}.`)) given.set(...one);
    else throw unknownField("", path, [...byPath.keys()]);
  }
  return given;
}

/** Settings as JSON, by their paths. */
export function givenAsJson(given: Given): Record<string, unknown> {
  return Object.fromEntries(
    namedOptions.flatMap(({ path, option }) => (given.has(option) ? [[path, given.get(option)]] : [])),
  );
}

/** The words of a command line that give these settings; one that equals its flag's default may have none. */
export function flagsFrom(given: Given): string[] {
  return namedOptions.flatMap(({ option }) => (given.has(option) ? flagFrom(option, given.get(option)) : []));
}

function flagFrom(option: Option<unknown>, value: unknown): string[] {
  const [flag = ""] = longFlags(option);
  if (!takesValue(option)) return value === option.bare ? [flag] : [];
  return JSON.stringify(value) === JSON.stringify(option.default) && isUnwritable(value) ? [] : [flag, asText(value)];
}

/** Whether a flag is followed by a value. */
export function takesValue({ flags }: Pick<Option<unknown>, "flags">): boolean {
  return /[<[]/.test(flags);
}

/** What no text stands for: the absence of a value. */
function isUnwritable(value: unknown): boolean {
  return value === null || (Array.isArray(value) && value.length === 0);
}

/** A value as it is written on a command line. */
export function asText(value: unknown): string {
  // The one setting whose absence has a word: checkpoints between epochs alone.
  if (value === null) return "epoch";
  if (Array.isArray(value)) return value.map(asText).join(",");
  if (!isRecord(value)) return String(value);
  const { pattern, value: own, steps, seconds, fraction, weights } = value;
  if (pattern !== undefined) return `${pattern}=${own}`;
  if (seconds !== undefined) return `${seconds}s`;
  // Without a decimal point it would be a number of weights.
  if (fraction !== undefined) return fraction === 1 ? "1.0" : String(fraction);
  return String(steps ?? weights);
}

function checkedValue(path: string, value: unknown): unknown {
  const nested = path.split(".").reduceRight<unknown>((inner, name) => ({ [name]: inner }), value);
  return valueAt(valuesFromJson(trainOptions, nested), path);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
