import { UserError } from "../errors.js";
import { quoted } from "../quote.js";

/** The error for a path that something other than a file stands at. */
export function notAFile(operation: string, path: string, isFolder: boolean): UserError {
  return new UserError({
    operation,
    argument: quoted(path),
    expected: "a regular file",
    received: isFolder ? "a folder" : "a device, pipe or socket",
    remedy: "name a file instead",
  });
}

type Fault = Readonly<{ expected: string; received: string; remedy: string }>;

const COMMON_FAULTS: ReadonlyMap<string, Fault> = new Map([
  ["ENOTDIR", fault("folders all along the path", "a file in a folder's place", "correct the path")],
  ["ENAMETOOLONG", fault("a name that the system takes", "one that is too long", "choose a shorter one")],
  ["ELOOP", fault("links that lead to a file", "links in a circle", "correct the links")],
  ["EIO", fault("a working disk", "an input/output error", "check the disk, or use another one")],
]);

/** What a failed reading tells the user, by the system error's code. */
export const READ_FAULTS: ReadonlyMap<string, Fault> = new Map([
  ...COMMON_FAULTS,
  ["ENOENT", fault("an existing file", "none", "correct the path")],
  ["EACCES", fault("permission to read", "none", "change the permissions of the file and its folders")],
]);

const NO_WRITING = fault("permission to write", "none", "change the folder's permissions or choose another folder");
const FREE_SPACE = "free some space or choose a folder on another disk";

/** The same of a failed writing. */
export const WRITE_FAULTS: ReadonlyMap<string, Fault> = new Map([
  ...COMMON_FAULTS,
  ["ENOENT", fault("an existing folder", "none", "create the folder or correct the path")],
  ["EACCES", NO_WRITING],
  ["EPERM", NO_WRITING],
  ["EROFS", fault("a writable disk", "a read-only one", "choose a folder on another disk")],
  ["ENOSPC", fault("free space on the disk", "a full disk", FREE_SPACE)],
  ["EDQUOT", fault("free space in the disk quota", "a quota used up", FREE_SPACE)],
  ["EFBIG", fault("a size that the disk's format takes", "a file too large for it", "choose another disk")],
  ["EISDIR", fault("a regular file", "a folder", "name a file instead")],
]);

/** The same of a folder that can't be made. */
export const FOLDER_FAULTS: ReadonlyMap<string, Fault> = new Map([
  ...WRITE_FAULTS,
  ["ENOENT", fault("a place where a folder can be made", "one where none can", "choose another folder")],
  ["EEXIST", fault("a folder", "something else of that name", "remove it, or choose another folder")],
  ["EINVAL", fault("a name that the system takes", "another", "choose another folder")],
]);

function fault(expected: string, received: string, remedy: string): Fault {
  return { expected, received, remedy };
}

/** The UserError that tells a system error's cause and remedy; any other error as it is. */
export function fileFault(
  operation: string,
  path: string,
  cause: unknown,
  faults: ReadonlyMap<string, Fault>,
): unknown {
  const code = errorCode(cause);
  const found = code === undefined ? undefined : faults.get(code);
  if (found === undefined) return cause;
  const { expected, received, remedy } = found;
  const argument = quoted(path);
  return new UserError({ operation, argument, expected, received: `${received} (${code})`, remedy, cause });
}

/** A system error's code; undefined for any other. */
export function errorCode(error: unknown): string | undefined {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : undefined;
}
