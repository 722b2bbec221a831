import { closeSync, fdatasync, fstatSync, fsync, read, write } from "node:fs";
import { promisify } from "node:util";
import { fileFault, READ_FAULTS } from "./file-faults.js";
import { MAX_TRANSFER, nodeFileOperations, openRegular, type ReplaceOperations, replaceFile } from "./files.js";

/** The file-system calls of {@link writeFileInBackground}; those that return a promise leave this thread to others. */
export interface BackgroundFileOperations extends ReplaceOperations {
  /** Writes at `position` and gives how many bytes went out, which may be fewer than given. */
  write(descriptor: number, bytes: Uint8Array, position: number): Promise<number>;
  /** Begins to bring to the disk what has been written so far. */
  flush(descriptor: number): Promise<void>;
  sync(descriptor: number): Promise<void>;
}

const readAt = promisify(read);
const writeAt = promisify(write);

/** {@link BackgroundFileOperations} on the real file system. */
export const nodeBackgroundOperations: BackgroundFileOperations = {
  ...nodeFileOperations,
  write: async (descriptor, bytes, position) =>
    (await writeAt(descriptor, bytes, 0, bytes.byteLength, position)).bytesWritten,
  flush: promisify(fdatasync),
  sync: promisify(fsync),
};

/** A file that is being written, in any order. */
export interface BackgroundFile {
  /** Resolves once all bytes went out: until then they must stay as they are. */
  write(bytes: Uint8Array, position: number): Promise<void>;
}

/** What {@link writeFileInBackground} writes: each byte once. */
export interface FileContents {
  readonly byteLength: number;
  /** Need not wait for its last writes. */
  writeTo(file: BackgroundFile): Promise<void>;
}

/**
 * Writes a file whole or not at all, as `writeFileAtomic` does, while this thread goes on: what has been written is on
 * its way to the disk before the last of it is computed.
 *
 * @throws {UserError} naming the path, the cause and the remedy when the disk, the folder or its permissions forbid it.
 */
export async function writeFileInBackground(
  path: string,
  contents: FileContents,
  operations: BackgroundFileOperations = nodeBackgroundOperations,
): Promise<void> {
  const write = async (descriptor: number) => {
    const file = new OpenedFile(descriptor, operations);
    try {
      await contents.writeTo(file);
      await file.finish();
    } finally {
      // A write that is still going on would otherwise hit the next file of this number.
      await file.settle();
    }
  };
  const steps = replaceFile(path, operations, write);
  for (let step = steps.next(); !step.done; ) {
    step = await Promise.resolve(step.value).then(
      () => steps.next(),
      (error) => steps.throw(error),
    );
  }
}

class OpenedFile implements BackgroundFile {
  readonly #descriptor: number;
  readonly #operations: BackgroundFileOperations;
  readonly #begun: Promise<void>[] = [];
  #flushing = false;

  constructor(descriptor: number, operations: BackgroundFileOperations) {
    this.#descriptor = descriptor;
    this.#operations = operations;
  }

  write(bytes: Uint8Array, position: number): Promise<void> {
    const written = this.#writeAll(bytes, position);
    this.#begin(written.then(() => this.#flush()));
    return written;
  }

  /** Resolves when all is done that was begun; rejects as the first of it that failed. */
  async finish(): Promise<void> {
    for (let i = 0; i < this.#begun.length; i++) await this.#begun[i];
  }

  /** Resolves when all is done or failed. */
  async settle(): Promise<void> {
    for (let i = 0; i < this.#begun.length; i++) await this.#begun[i]?.catch(() => {});
  }

  /** Keeps a promise for {@link finish}, which will tell how it fails. */
  #begin(promise: Promise<void>): void {
    promise.catch(() => {});
    this.#begun.push(promise);
  }

  async #writeAll(bytes: Uint8Array, position: number): Promise<void> {
    for (let done = 0; done < bytes.byteLength; ) {
      const part = bytes.subarray(done, done + MAX_TRANSFER);
      const written = await this.#operations.write(this.#descriptor, part, position + done);
      if (written <= 0) throw new Error(`a write of ${bytes.byteLength - done} bytes took none of them`);
      done += written;
    }
  }

  /** One at a time: what comes meanwhile goes with the next one, or with the last sync. */
  async #flush(): Promise<void> {
    if (this.#flushing) return;
    this.#flushing = true;
    await this.#operations.flush(this.#descriptor);
    this.#flushing = false;
  }
}

/**
 * A file's bytes from `position` to its end, in pieces of up to `pieceBytes` that the next one overwrites, read while
 * this thread goes on.
 *
 * @throws {UserError} naming the path, the cause and the remedy when it can't be read.
 */
export async function* readInBackground(
  path: string,
  position: number,
  pieceBytes: number,
  operation = "read file",
): AsyncGenerator<Uint8Array, void, undefined> {
  let descriptor: number | undefined;
  try {
    descriptor = openRegular(operation, path);
    const { size } = fstatSync(descriptor);
    const buffer = new Uint8Array(Math.min(pieceBytes, Math.max(size - position, 0)));
    for (let at = position; at < size; ) {
      // What is written to the file meanwhile doesn't count: it might never end.
      const { bytesRead } = await readAt(descriptor, buffer, 0, Math.min(buffer.byteLength, size - at), at);
      if (bytesRead === 0) return;
      at += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  } catch (error) {
    throw fileFault(operation, path, error, READ_FAULTS);
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}
