import { AppendedFile } from "../runs/appended-file.js";

const BUFFER_BYTES = 64 * 1024;
const BUFFER_MS = 5000;

/** A file that grows at its end by a write every few seconds. */
export class BufferedFile {
  readonly #file: AppendedFile;
  #waiting: Uint8Array[] = [];
  #bytes = 0;
  #written = performance.now();

  /** Begins the file anew. @throws {UserError} of the `operation` when it can't be written; so do the others. */
  constructor(operation: string, path: string) {
    this.#file = new AppendedFile(operation, path);
    this.#file.cutTo(0);
  }

  append(bytes: Uint8Array): void {
    this.#waiting.push(bytes);
    this.#bytes += bytes.length;
    if (this.#bytes >= BUFFER_BYTES || performance.now() - this.#written >= BUFFER_MS) this.#write();
  }

  /** Waits until all that was appended is on the disk. */
  flush(): void {
    this.#write();
    this.#file.flush();
  }

  /** Flushes and closes. */
  close(): void {
    try {
      this.#write();
    } finally {
      this.#file.close();
    }
  }

  #write(): void {
    const bytes = Buffer.concat(this.#waiting);
    // First, so that what can't be written isn't tried again when the file is closed.
    this.#waiting = [];
    this.#bytes = 0;
    this.#written = performance.now();
    this.#file.write(bytes);
  }
}
