import { printable } from "@peekaboo/files/errors";

/** A value that two nested records don't share, by path. */
export interface ValueDifference {
  path: string;
  before: unknown;
  after: unknown;
}

/** The leaves that differ, in the records' order; a list is a leaf. */
export function differences(before: unknown, after: unknown, path = ""): ValueDifference[] {
  if (isRecord(before) && isRecord(after)) {
    const names = new Set([...Object.keys(before), ...Object.keys(after)]);
    return [...names].flatMap((name) => differences(before[name], after[name], path === "" ? name : `${path}.${name}`));
  }
  return JSON.stringify(before) === JSON.stringify(after) ? [] : [{ path, before, after }];
}

/** A value as a message shows it. */
export function inJson(value: unknown): string {
  return printable(JSON.stringify(value) ?? "nothing");
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
