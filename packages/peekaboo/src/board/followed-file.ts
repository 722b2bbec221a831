import { closeSync, readSync, type Stats } from "node:fs";
import { openRegular } from "@peekaboo/files";
import { statsOf } from "./stats-of.js";

/** How much is read at once: two milliseconds' work, for which a request may have to wait. */
const SLICE_BYTES = 256 * 1024;
/** What is compared to find out whether the file is still the one that was read. */
const MARK_BYTES = 64;
const NEWLINE = 0x0a;

/** Shared by all files: what is read is used before anything else is. */
const slice = Buffer.allocUnsafe(SLICE_BYTES);

/** Whole lines of a file, valid until the next are read. */
export interface Lines {
  readonly bytes: Buffer;
  /** The byte of the file at which they begin. */
  readonly place: number;
}

/**
 * A file of lines that another process appends to, read from where the last reading ended. It may be cut or replaced, as by
 * a run that is resumed, and then begins anew; its last line may be half written.
 */
export class FollowedFile {
  readonly #path: string;
  #stats: Stats | undefined;
  #offset = 0;
  #mark = Buffer.alloc(0);
  #waiting = false;

  constructor(path: string) {
    this.#path = path;
  }

  get offset(): number {
    return this.#offset;
  }

  get size(): number {
    return this.#stats?.size ?? 0;
  }

  /** When it last changed, in milliseconds since 1970. */
  get changed(): number {
    return this.#stats?.mtimeMs ?? 0;
  }

  /** Whether there may be whole lines that haven't been read. */
  get isBehind(): boolean {
    return this.size > this.#offset && !this.#waiting;
  }

  /** Looks at the file: whether it is gone, another than was read, grown or the same. */
  look(): "gone" | "another" | "grown" | "same" {
    const before = this.#stats;
    this.#stats = statsOf(this.#path);
    if (this.#stats === undefined) return "gone";
    if (before?.mtimeMs === this.#stats.mtimeMs && before.size === this.#stats.size) return "same";
    this.#waiting = false;
    if (before === undefined || (before.ino === this.#stats.ino && this.#isWhatWasRead())) return "grown";
    this.#offset = 0;
    this.#mark = Buffer.alloc(0);
    return "another";
  }

  /** The next whole lines, some at a time; none where the rest is only begun. */
  next(): Lines {
    const lines = wholeLines(this.#read(this.#offset, this.size), this.#offset);
    const { bytes } = lines;
    this.#waiting = bytes.length === 0;
    if (bytes.length > 0) this.#mark = Buffer.from(bytes.subarray(-MARK_BYTES));
    this.#offset += bytes.length;
    return lines;
  }

  /** The last lines. */
  tail(most: number): Lines {
    const from = Math.max(0, this.size - most);
    const bytes = this.#read(from, this.size);
    const start = from === 0 ? 0 : bytes.indexOf(NEWLINE) + 1;
    return wholeLines(bytes.subarray(start), from + start);
  }

  /** The lines between two places where one begins, some at a time. */
  *between(begin: number, end: number): Generator<Lines> {
    for (let place = begin; place < end; ) {
      const lines = wholeLines(this.#read(place, end), place);
      if (lines.bytes.length === 0) return;
      yield lines;
      place += lines.bytes.length;
    }
  }

  #isWhatWasRead(): boolean {
    return this.size >= this.#offset && this.#read(this.#offset - this.#mark.length, this.#offset).equals(this.#mark);
  }

  /** Bytes of the file, at most a slice; none where it is gone. */
  #read(begin: number, end: number): Buffer {
    let descriptor: number | undefined;
    try {
      descriptor = openRegular("board", this.#path);
      return slice.subarray(0, readSync(descriptor, slice, 0, Math.min(SLICE_BYTES, end - begin), begin));
    } catch {
      return slice.subarray(0, 0);
    } finally {
      if (descriptor !== undefined) closeSync(descriptor);
    }
  }
}

/** Without what follows the last newline; a whole slice that has none is no line of ours, and is passed on as it is. */
function wholeLines(bytes: Buffer, place: number): Lines {
  const end = bytes.lastIndexOf(NEWLINE) + 1;
  return { bytes: end === 0 && bytes.length === SLICE_BYTES ? bytes : bytes.subarray(0, end), place };
}
