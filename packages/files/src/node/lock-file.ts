import { lstatSync, utimesSync } from "node:fs";
import { UserError } from "../errors.js";
import { errorCode } from "./file-faults.js";
import { readWhole } from "./files.js";

/** Far above what a lock says. */
const MAX_BYTES = 2 ** 16;

/**
 * What a lock's file says; null when it is closed to this user, undefined when there is none.
 *
 * @throws {UserError} when something else is in its place or it can't be read: to try again would be to try for ever.
 */
export function readLockFile(operation: string, path: string): string | null | undefined {
  try {
    return Buffer.from(readWhole(operation, path, MAX_BYTES)).toString("utf8");
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    if (errorCode(error.cause) === "EACCES") return null;
    if (isGone(path)) return undefined;
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
    return readLockFile("read lock", path) ?? null;
  } catch {
    return null;
  }
}

/** Touches the lock that says `text`; false once it says something else. */
export function touchLock(path: string, text: string): boolean {
  const found = lockText(path);
  if (found !== text) return found === null;
  try {
    const now = new Date();
    utimesSync(path, now, now);
  } catch {
    // The folder is gone or out of reach for a moment: the next beat tries again.
  }
  return true;
}
