import { closeSync, openSync } from "node:fs";
import { Writable } from "node:stream";
import { isatty } from "node:tty";
import { UserError } from "@peekaboo/files/errors";
import { EXIT } from "./exit.js";
import type { Io } from "./io.js";
import { ignoreHangupAsBefore } from "./signals.js";

/**
 * Runs a command on this process's standard streams, none of which can end it: what a reader that is gone, a full disk or a
 * lost terminal doesn't take is lost, and the command goes on. Returns its exit status; where it did all that it should and
 * its result could not be written, that of a mistake, and says so.
 *
 * With a pipe whose reader stops reading, Node keeps what is written in memory: the command goes on to its end, and then
 * waits for the reader.
 */
export async function withStandardStreams(command: (io: Io) => Promise<number>): Promise<number> {
  ignoreHangupAsBefore();
  leaveLostTerminals();
  const stdout = new Outlet(process.stdout);
  const stderr = new Outlet(process.stderr);
  const status = await command({ stdout, stderr });
  const fault = await stdout.fault();
  if (fault === null) return status;
  const { message } = new UserError({
    operation: "write the result",
    argument: "standard output",
    expected: "a file that takes it",
    received: fault.message,
    remedy: "free some space, or send it elsewhere; whatever else the command does is done",
    cause: fault,
  });
  stderr.write(`${message}\n`);
  return status === EXIT.ok ? EXIT.usage : status;
}

/** One way to each standard stream, which never fails. */
export class Outlet extends Writable {
  readonly #stream: NodeJS.WriteStream;
  #pending = 0;
  #fault: Error | null = null;
  #settled = () => {};

  constructor(stream: NodeJS.WriteStream) {
    super();
    this.#stream = stream;
    stream.on("error", () => {});
  }

  get isTTY(): boolean {
    return this.#stream.isTTY === true;
  }

  get columns(): number {
    return this.#stream.columns;
  }

  /** What kept the stream from taking something, once all is written; null also where nobody was left to read it. */
  async fault(): Promise<Error | null> {
    if (this.#pending > 0) await new Promise<void>((resolve) => (this.#settled = resolve));
    return this.#fault;
  }

  override _write(chunk: Uint8Array, _encoding: string, done: () => void): void {
    this.#pending++;
    try {
      this.#stream.write(chunk, (error) => this.#end(error));
    } catch (error) {
      // As the first Node 20 did for files.
      this.#end(error instanceof Error ? error : new Error(String(error)));
    }
    // At once, lest what goes to the other stream meanwhile comes out before.
    done();
  }

  #end(error?: Error | null): void {
    this.#pending--;
    if (error && !this.#readerIsGone(error)) this.#fault ??= error;
    if (this.#pending === 0) this.#settled();
  }

  /** A reader that closes early (`| head`) has what it wants, and a terminal that is gone has nobody before it. */
  #readerIsGone(error: Error): boolean {
    return this.isTTY || ("code" in error && (error.code === "EPIPE" || error.code === "ECONNRESET"));
  }
}

/**
 * At its end Node gives terminals their settings back, and aborts (SIGABRT, whatever the exit status was to be) when one is
 * gone. It passes over what isn't the same file any more.
 */
function leaveLostTerminals(): void {
  const terminals = [0, 1, 2].filter((descriptor) => isatty(descriptor));
  process.once("exit", () => {
    for (const lost of terminals.filter((descriptor) => !isatty(descriptor))) {
      closeSync(lost);
      openSync("/dev/null", "r+");
    }
  });
}
