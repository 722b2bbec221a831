import fs from "node:fs";
import { fileFault, openRegular, WRITE_FAULTS } from "@peekaboo/files";

/** A file that grows at its end: of what is written at once, all is there, or nothing. */
export class AppendedFile {
  readonly path: string;
  readonly #operation: string;
  readonly #descriptor: number;
  #length: number;
  #open = true;

  /**
   * Opens `path`, or makes it, with what it holds.
   *
   * @throws {UserError} of the `operation` when the file can't be written; so do the others.
   */
  constructor(operation: string, path: string) {
    this.path = path;
    this.#operation = operation;
    this.#descriptor = this.#attempt(() =>
      openRegular(operation, path, fs.constants.O_RDWR | fs.constants.O_APPEND | fs.constants.O_CREAT),
    );
    this.#length = this.#attempt(() => fs.fstatSync(this.#descriptor).size);
  }

  /** In bytes. */
  get length(): number {
    return this.#length;
  }

  /** The byte at a position; undefined beyond the end. */
  byteAt(position: number): number | undefined {
    const byte = Buffer.alloc(1);
    return this.#attempt(() => fs.readSync(this.#descriptor, byte, 0, 1, position)) === 1 ? byte[0] : undefined;
  }

  /** Cuts what lies beyond a length. */
  cutTo(length: number): void {
    this.#attempt(() => fs.ftruncateSync(this.#descriptor, length));
    this.#length = length;
  }

  /** Appends bytes. When the disk is full, no part of them stays behind. */
  write(bytes: Uint8Array): void {
    if (!this.#open) throw new Error(`${this.#operation}: the file is closed`);
    this.#attempt(() => {
      try {
        for (let done = 0; done < bytes.length; ) done += fs.writeSync(this.#descriptor, bytes, done);
      } catch (error) {
        fs.ftruncateSync(this.#descriptor, this.#length);
        throw error;
      }
    });
    this.#length += bytes.length;
  }

  /** Waits until all that was written is on the disk. */
  flush(): void {
    this.#attempt(() => fs.fsyncSync(this.#descriptor));
  }

  /** Flushes and closes; closing again does nothing. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    try {
      this.flush();
    } finally {
      fs.closeSync(this.#descriptor);
    }
  }

  #attempt<T>(action: () => T): T {
    try {
      return action();
    } catch (error) {
      throw fileFault(this.#operation, this.path, error, WRITE_FAULTS);
    }
  }
}
