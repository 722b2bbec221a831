import { nearest } from "../nearest.js";
import type { PatternValue } from "../optim/layer-values.js";

/** A kind of value: which values are valid, and how they are written on a command line. */
export interface Kind<V> {
  /** Completes "expected …". */
  readonly expected: string;
  /** The value that `text` stands for; undefined when it stands for none. */
  fromText(text: string): V | undefined;
  /** The value parsed from JSON, or undefined if invalid. */
  fromJson(value: unknown): V | undefined;
  /** Whether its JSON is an object or a list. Somebody who writes JSON by hand may write a flag's text there instead. */
  readonly structured?: true;
  /** What a flag comes to that is given again; without it, the last one counts. */
  joined?(before: V, next: V): V;
  /** What to advise somebody who wrote `text`, on a command line or in JSON. */
  remedy?(text: string): string | undefined;
}

/** The bounds of a number; those left out don't bind. */
export interface Range {
  readonly above?: number;
  readonly atLeast?: number;
  readonly below?: number;
  readonly atMost?: number;
}

const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

function numeral(text: string): number {
  const trimmed = text.trim();
  return DECIMAL.test(trimmed) ? Number(trimmed) : Number.NaN;
}

function within(value: number, { above, atLeast, below, atMost }: Range): boolean {
  return (
    Number.isFinite(value) &&
    (above === undefined || value > above) &&
    (atLeast === undefined || value >= atLeast) &&
    (below === undefined || value < below) &&
    (atMost === undefined || value <= atMost)
  );
}

function describeRange({ above, atLeast, below, atMost }: Range): string {
  const bounds: string[] = [];
  if (above !== undefined) bounds.push(`above ${above}`);
  if (atLeast !== undefined) bounds.push(`of at least ${atLeast}`);
  if (below !== undefined) bounds.push(`below ${below}`);
  if (atMost !== undefined) bounds.push(`at most ${atMost}`);
  return bounds.length === 0 ? "" : ` ${bounds.join(" and ")}`;
}

/** A finite decimal number in `range`. */
export function number(range: Range = {}): Kind<number> {
  const accept = (value: number) => (within(value, range) ? value : undefined);
  return {
    expected: `a number${describeRange(range)}`,
    fromText: (text) => accept(numeral(text)),
    fromJson: (value) => (typeof value === "number" ? accept(value) : undefined),
    remedy: (text) =>
      Number.isFinite(numeral(text)) || Number.isNaN(numeral(text))
        ? undefined
        : `the largest magnitude is ${Number.MAX_VALUE}`,
  };
}

/** A number whose sign, if somebody writes one, doesn't count: `-5e-7` is 5e-7. */
export function magnitude(): Kind<number> {
  const positive = number({ atLeast: 0 });
  return {
    ...positive,
    expected: "a number",
    fromText: (text) => positive.fromText(text.trim().replace(/^-/, "")),
  };
}

/** The largest integer up to which a double holds each. */
const LARGEST = Number.MAX_SAFE_INTEGER;

/** What to advise somebody who wrote an integer beyond {@link LARGEST}. */
function integerLimit(text: string): string | undefined {
  return numeral(text) > LARGEST ? `the largest is ${LARGEST}, which is 2^53 - 1` : undefined;
}

/** A whole number from `least` to `most`. */
export function integer(least: number, most: number = LARGEST): Kind<number> {
  const accept = (value: number) => (Number.isInteger(value) && value >= least && value <= most ? value : undefined);
  return {
    expected: most === LARGEST ? `an integer of at least ${least}` : `an integer from ${least} to ${most}`,
    fromText: (text) => accept(numeral(text)),
    fromJson: (value) => (typeof value === "number" ? accept(value) : undefined),
    ...(most === LARGEST ? { remedy: integerLimit } : {}),
  };
}

/** Integers of at least 1 in ascending order, written 80,120. */
export function ascendingIntegers(): Kind<readonly number[]> {
  const item = integer(1);
  const accept = (values: readonly (number | undefined)[]): readonly number[] | undefined => {
    const integers = values.filter((value) => value !== undefined);
    const ascending = integers.every((value, i) => i === 0 || value > (integers[i - 1] ?? value));
    return integers.length === values.length && ascending ? integers : undefined;
  };
  return {
    expected: "ascending positive integers with commas between",
    structured: true,
    fromText: (text) => accept(text.split(",").map((part) => item.fromText(part))),
    fromJson: (value) => (Array.isArray(value) ? accept(value.map((part) => item.fromJson(part))) : undefined),
    remedy: (text) => integerLimit(text.split(/[[\],]/).find((part) => integerLimit(part) !== undefined) ?? ""),
  };
}

const PATTERN = /^[\w.*-]{1,200}$/;

/** Values for patterns of names, in order, written `layer1.*=1e-4,conv1.weight=5e-4`. */
export function patternValues(value: Kind<number>): Kind<readonly PatternValue[]> {
  const accept = (entries: readonly (PatternValue | undefined)[]): readonly PatternValue[] | undefined => {
    const valid = entries.filter((entry) => entry !== undefined);
    return valid.length === entries.length ? valid : undefined;
  };
  const entry = (pattern: unknown, read: number | undefined): PatternValue | undefined =>
    typeof pattern === "string" && PATTERN.test(pattern) && read !== undefined ? { pattern, value: read } : undefined;
  const written = (part: string) => {
    const [pattern = "", text = "", ...rest] = part.split("=");
    return rest.length === 0 ? entry(pattern.trim(), value.fromText(text)) : undefined;
  };
  const parsed = (item: unknown) => {
    if (typeof item !== "object" || item === null || Object.keys(item).sort().join() !== "pattern,value")
      return undefined;
    const fields = new Map<string, unknown>(Object.entries(item));
    return entry(fields.get("pattern"), value.fromJson(fields.get("value")));
  };
  return {
    expected: `NAME=VALUE with commas between, * standing for any text in a name and each value ${value.expected}`,
    structured: true,
    fromText: (text) => accept(text.split(",").map(written)),
    fromJson: (json) => (Array.isArray(json) ? accept(json.map(parsed)) : undefined),
  };
}

/** One of a few names; on the command line in upper or lower case. */
export function choice<const Name extends string>(names: readonly Name[]): Kind<Name> {
  return {
    expected: names.length === 1 ? `${names[0]}` : `one of ${names.join(", ")}`,
    fromText: (text) => names.find((name) => name.toLowerCase() === text.trim().toLowerCase()),
    fromJson: (value) => names.find((name) => name === value),
    remedy: (text) => {
      const near = nearest(text, names);
      return near === undefined ? undefined : `did you mean ${near}?`;
    },
  };
}

/** Any of a few names, each once and in their order, written with commas between; a flag given again adds its own. */
export function choices<const Name extends string>(names: readonly Name[]): Kind<readonly Name[]> {
  const one = choice(names);
  const accept = (chosen: readonly (Name | undefined)[]) =>
    chosen.includes(undefined) ? undefined : names.filter((name) => chosen.includes(name));
  const parts = (text: string) => text.split(",");
  return {
    expected: `any of ${names.join(", ")}, with commas between`,
    structured: true,
    fromText: (text) => accept(parts(text).map((part) => one.fromText(part))),
    fromJson: (value) => (Array.isArray(value) ? accept(value.map((part) => one.fromJson(part))) : undefined),
    joined: (before, next) => names.filter((name) => before.includes(name) || next.includes(name)),
    remedy: (text) => one.remedy?.(parts(text).find((part) => one.fromText(part) === undefined) ?? ""),
  };
}

/** Text that isn't empty; on the command line it can't begin with `--`, which would be the next flag. */
export function text(expected = "a name"): Kind<string> {
  const accept = (value: string) => (value.trim() === "" || value.includes("\0") ? undefined : value);
  return {
    expected,
    fromText: (value) => (value.startsWith("--") ? undefined : accept(value)),
    fromJson: (value) => (typeof value === "string" ? accept(value) : undefined),
  };
}

/** Bytes of the longest name that Linux's and other file systems take. */
const MAX_NAME_BYTES = 255;

/**
 * The name of one folder: neither a path, nor the folder that it is to lie in or the one above. What JSON of earlier versions
 * holds is taken as any text: it only tells where a run was.
 */
export function folderName(): Kind<string> {
  const one = (name: string) =>
    !/[/\p{Cc}]/u.test(name) && name !== "." && name !== ".." && Buffer.byteLength(name) <= MAX_NAME_BYTES;
  const { fromText, fromJson } = text();
  return {
    expected: `the name of one folder, without / and of at most ${MAX_NAME_BYTES} bytes`,
    fromText: (value) => {
      const name = fromText(value);
      return name !== undefined && one(name) ? name : undefined;
    },
    fromJson,
  };
}

/** `cpu` or `cuda:N`; `cuda` alone is `cuda:0`. */
export function device(): Kind<string> {
  const accept = (value: string) => (/^(cpu|cuda:(0|[1-9]\d{0,2}))$/.test(value) ? value : undefined);
  return {
    expected: "cpu or cuda:N",
    fromText: (value) => accept(value === "cuda" ? "cuda:0" : value),
    fromJson: (value) => (typeof value === "string" ? accept(value) : undefined),
    remedy: (value) => (/^cuda:\d{4,}$/.test(value) ? "the largest N is 999" : undefined),
  };
}

/** A flag that takes no value. */
export function flag(): Kind<boolean> {
  return {
    expected: "true or false",
    fromText: () => undefined,
    fromJson: (value) => (typeof value === "boolean" ? value : undefined),
  };
}

/** A value that may be absent, which is null. */
export function optional<V>(kind: Kind<V>): Kind<V | null> {
  return { ...kind, fromJson: (value) => (value === null ? null : kind.fromJson(value)) };
}
