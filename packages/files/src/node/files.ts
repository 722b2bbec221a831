import { randomBytes } from "node:crypto";
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  openSync,
  readSync,
  realpathSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { totalmem } from "node:os";
import { dirname, join } from "node:path";
import { UserError } from "../errors.js";
import { quoted } from "../quote.js";
import { errorCode, fileFault, notAFile, READ_FAULTS, WRITE_FAULTS } from "./file-faults.js";

/** The file-system calls by which a file takes another's place; a test passes its own to fail any of them. */
export interface ReplaceOperations {
  open(path: string, flags: "wx" | "r"): number;
  /** May return a promise, which leaves this thread to others. */
  sync(descriptor: number): void | Promise<void>;
  close(descriptor: number): void;
  rename(from: string, to: string): void;
  remove(path: string): void;
}

/** The file-system calls that change something in {@link writeFileAtomic}. */
export interface FileOperations extends ReplaceOperations {
  /** Writes at the current position and returns how many bytes went out, which may be fewer than given. */
  write(descriptor: number, bytes: Uint8Array): number;
  sync(descriptor: number): void;
}

/** {@link FileOperations} on the real file system. */
export const nodeFileOperations: FileOperations = {
  open: openSync,
  write: (descriptor, bytes) => writeSync(descriptor, bytes),
  sync: fsyncSync,
  close: closeSync,
  rename: renameSync,
  remove: unlinkSync,
};

/**
 * Writes a file whole or not at all, also through a crash or a power cut, and returns when it is on the disk.
 *
 * The chunks go to a file named `.writing-PID-HEX.tmp` in the target's folder, which then takes the target's name; a
 * link is followed. Until that moment any failure leaves the old file as it was and removes the temporary one (only a
 * killed process leaves it behind).
 *
 * @throws {UserError} naming the path, the cause and the remedy when the disk, the folder or its permissions forbid it.
 */
export function writeFileAtomic(
  path: string,
  chunks: Iterable<Uint8Array>,
  operations: FileOperations = nodeFileOperations,
): void {
  const write = (descriptor: number) => {
    for (const chunk of chunks) writeAll(descriptor, chunk, operations);
  };
  const steps = replaceFile(path, operations, write);
  while (!steps.next().done);
}

/**
 * The steps of {@link writeFileAtomic}: each does something and yields the promise of it, or nothing where it is done.
 *
 * @param write writes all to the new file.
 */
export function* replaceFile(
  path: string,
  operations: ReplaceOperations,
  write: (descriptor: number) => void | Promise<void>,
): Generator<void | Promise<void>, void, void> {
  try {
    const target = writeTarget(path);
    const folder = dirname(target);
    const temporary = temporaryIn(folder);
    try {
      const descriptor = operations.open(temporary, "wx");
      try {
        yield write(descriptor);
        yield operations.sync(descriptor);
      } finally {
        operations.close(descriptor);
      }
      operations.rename(temporary, target);
    } catch (error) {
      removeIfThere(temporary, operations);
      throw error;
    }
    yield* syncFolder(folder, operations);
  } catch (error) {
    throw fileFault("write file", path, error, WRITE_FAULTS);
  }
}

/** A new name in a folder for a file that is being written. */
function temporaryIn(folder: string): string {
  return join(folder, `.writing-${process.pid}-${randomBytes(6).toString("hex")}.tmp`);
}

/** The file that a path leads to, or the path where there is none yet. @throws {UserError} for what is no file. */
export function writeTarget(path: string, operation = "write file"): string {
  const existing = statSync(path, { throwIfNoEntry: false });
  if (existing === undefined) return path;
  if (!existing.isFile()) throw notAFile(operation, path, existing.isDirectory());
  return realpathSync(path);
}

/** Node passes lengths to the system as int32; one call moves at most this many bytes. */
export const MAX_TRANSFER = 2 ** 30;

function writeAll(descriptor: number, bytes: Uint8Array, operations: FileOperations): void {
  for (let done = 0; done < bytes.byteLength; ) {
    const written = operations.write(descriptor, bytes.subarray(done, done + MAX_TRANSFER));
    if (written <= 0) throw new Error(`a write of ${bytes.byteLength - done} bytes took none of them`);
    done += written;
  }
}

function removeIfThere(path: string, operations: ReplaceOperations): void {
  try {
    operations.remove(path);
  } catch {
    // The failure that brought us here is the one to report.
  }
}

/** What systems answer that can't sync a folder, or don't let this user open it for reading: not a failed write. */
const FOLDER_SYNC_UNAVAILABLE = new Set(["EACCES", "EINVAL", "EISDIR", "ENOSYS", "ENOTSUP", "EPERM"]);

function* syncFolder(folder: string, operations: ReplaceOperations): Generator<void | Promise<void>, void, void> {
  let descriptor: number | undefined;
  try {
    descriptor = operations.open(folder, "r");
    yield operations.sync(descriptor);
  } catch (error) {
    if (!FOLDER_SYNC_UNAVAILABLE.has(errorCode(error) ?? "")) throw error;
  } finally {
    if (descriptor !== undefined) operations.close(descriptor);
  }
}

/** Where the system has it: a pipe is opened without waiting for its other end, and no terminal becomes this process's own. */
const WITHOUT_WAITING = (constants.O_NONBLOCK ?? 0) | (constants.O_NOCTTY ?? 0);

/**
 * Opens a path that a user or a folder names, of which nothing but a regular file is accepted, and gives the descriptor.
 * It never waits; a file that the flags would create may be absent.
 *
 * @throws {UserError} for what is no regular file; system errors as they come.
 */
export function openRegular(operation: string, path: string, flags: number = constants.O_RDONLY): number {
  // Looked at before it is opened, which alone can make a device do something; and after, lest it was exchanged between.
  const before = statSync(path, { throwIfNoEntry: (flags & constants.O_CREAT) === 0 });
  if (before !== undefined && !before.isFile()) throw notAFile(operation, path, before.isDirectory());
  const descriptor = openSync(path, flags | WITHOUT_WAITING);
  const opened = fstatSync(descriptor);
  if (opened.isFile()) return descriptor;
  closeSync(descriptor);
  throw notAFile(operation, path, opened.isDirectory());
}

/** A regular file opened for reading by {@link withFile}. */
export interface OpenFile {
  /** Bytes, when it was opened. */
  readonly size: number;
  /** Exactly `length` bytes from `position`, in memory of their own; a UserError when the file ends before. */
  read(position: number, length: number): Uint8Array<ArrayBuffer>;
}

/**
 * Opens a regular file for as long as `use` runs.
 *
 * @param operation what the user wanted, for the error messages, e.g. "read safetensors".
 * @throws {UserError} naming the path, the cause and the remedy when it can't be read, or is no regular file.
 */
export function withFile<T>(operation: string, path: string, use: (file: OpenFile) => T): T {
  let descriptor: number | undefined;
  try {
    const open = openRegular(operation, path);
    descriptor = open;
    return use({
      size: fstatSync(open).size,
      read: (position, length) => readExactly(operation, path, open, position, length),
    });
  } catch (error) {
    throw fileFault(operation, path, error, READ_FAULTS);
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/**
 * All of a regular file that has at most `limit` bytes; what is written to it meanwhile doesn't count.
 *
 * @throws {UserError} as {@link withFile} does, and for a larger file.
 */
export function readWhole(operation: string, path: string, limit: number): Uint8Array<ArrayBuffer> {
  return withFile(operation, path, ({ size, read }) => {
    if (size <= limit) return read(0, size);
    const remedy = "name another file";
    const [expected, received] = [`a file of at most ${limit} bytes`, `${size} bytes`];
    throw new UserError({ operation, argument: quoted(path), expected, received, remedy });
  });
}

function readExactly(operation: string, path: string, descriptor: number, position: number, length: number) {
  const bytes = allocate(operation, path, length);
  for (let done = 0; done < length; ) {
    const count = readSync(descriptor, bytes, done, Math.min(length - done, MAX_TRANSFER), position + done);
    if (count === 0) {
      throw new UserError({
        operation,
        argument: quoted(path),
        expected: `${length} bytes from byte ${position}`,
        received: `the file's end after ${done} of them`,
        remedy: "the file is truncated or is being written: wait for its writer, or write or download it again",
      });
    }
    done += count;
  }
  return bytes;
}

function allocate(operation: string, path: string, length: number): Uint8Array<ArrayBuffer> {
  const refusal = (cause?: unknown) =>
    new UserError({
      operation,
      argument: quoted(path),
      expected: "contents that fit in memory",
      received: `${length} bytes`,
      remedy: "use a machine with more memory, or split the file",
      cause,
    });
  // The system may grant what it hasn't got, and end the process when that is used.
  if (length > totalmem()) throw refusal();
  try {
    return new Uint8Array(length);
  } catch (cause) {
    throw refusal(cause);
  }
}
