import { accessSync, constants, mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { errorCode, FOLDER_FAULTS, fileFault, WRITE_FAULTS } from "./file-faults.js";
import { writeTarget } from "./files.js";

/**
 * Makes a folder and those that it is in, as far as they are missing.
 *
 * Node's own recursive `mkdir` never ends in a folder such as /proc, where nothing can be made though all of it is there.
 *
 * @throws {UserError} naming the path, the cause and the remedy.
 */
export function makeFolder(operation: string, path: string): void {
  try {
    make(path);
  } catch (error) {
    throw fileFault(operation, path, error, FOLDER_FAULTS);
  }
}

function make(path: string): void {
  try {
    mkdirSync(path);
  } catch (error) {
    // Whoever made it, and why ever it can't be made once more.
    if (isFolder(path)) return;
    const parent = dirname(path);
    if (errorCode(error) !== "ENOENT" || parent === path || isFolder(parent)) throw error;
    make(parent);
    makeOnce(path);
  }
}

/** Makes a folder in one that is there; another process may have been faster. */
function makeOnce(path: string): void {
  try {
    mkdirSync(path);
  } catch (error) {
    if (!isFolder(path)) throw error;
  }
}

/** Whether a folder is at the path, or what a link there leads to. */
export function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

/**
 * @throws {UserError} where a file can't be written later: what stands at the path is no regular file, or its folder is
 * missing or closed. So that what is to be written isn't computed in vain.
 */
export function refuseUnwritable(operation: string, path: string): void {
  try {
    const folder = dirname(writeTarget(path, operation));
    // The dot, so that a file in the folder's place is told as such.
    statSync(`${folder}/.`);
    accessSync(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw fileFault(operation, path, error, WRITE_FAULTS);
  }
}
