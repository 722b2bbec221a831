import { type Stats, statSync } from "node:fs";

/** What stands at a path; undefined where nothing does, or where it is closed to this user. */
export function statsOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}
