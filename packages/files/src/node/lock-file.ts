import { lstatSync } from "node:fs";
import { UserError } from "../errors.js";
import { readWhole } from "./files.js";

/** Far above what a lock says. */
const MAX_BYTES = 2 ** 16;

/**
 * What a lock's file says; null when there is none.
 *
 * Throws UserError when something else is in its place or it can't be read: to try again would be to try for ever.
 */
export function readLockFile(operation: string, path: string): string | null {
  try {
    return Buffer.from(readWhole(operation, path, MAX_BYTES)).toString("utf8");
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    if (isGone(path)) return null;
    throw error.withRemedy("if no other process uses the folder, remove what is there");
  }
}

/** Whether nothing is there, a link to nothing included. */
function isGone(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) === undefined;
  } catch {
    return false;
  }
}

/** The same where only a readable lock matters: null for whatever else there is. */
export function lockText(path: string): string | null {
  try {
    return readLockFile("read lock", path);
  } catch {
    return null;
  }
}
