import { rmSync } from "node:fs";
import { open } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { setTimeout } from "node:timers/promises";
import { writeTarget } from "@peekaboo/files";
import { type Checksum, digestOfFile } from "../checksum.js";
import { ConnectionBroke, type FetchContext, SourceUnavailable } from "../source.js";
import { statsOf } from "./files.js";
import { bodyOf, openUrl } from "./http.js";

/** A file on the network whose size and checksum are known beforehand. */
export interface RemoteFile {
  url: string;
  bytes: number;
  checksum: Checksum;
}

/** Connections in all; and those in a row that break before they bring a byte. */
const ATTEMPTS = 20;
const FRUITLESS = 4;

/** Milliseconds before another try where the last brought nothing; twice as many each time. */
const PAUSE = 200;

/**
 * Downloads a file to `path`, going on from the bytes that an interrupted download left there. A connection that breaks
 * is taken up again, also where it brought nothing: Node may drop what a broken connection had still brought. A file
 * whose checksum is wrong is removed.
 *
 * @throws {SourceUnavailable} when the file can't be had, and the signal's reason on abort (`path` is kept).
 */
export async function download(remote: RemoteFile, path: string, context: FetchContext): Promise<void> {
  for (let attempt = 1, fruitless = 0; ; attempt++) {
    const before = sizeOf(path);
    try {
      if (before !== remote.bytes) await append(remote, path, before < remote.bytes ? before : 0, context);
    } catch (error) {
      const grew = sizeOf(path) > before;
      fruitless = grew ? 0 : fruitless + 1;
      if (!(error instanceof SourceUnavailable) || !(grew || error instanceof ConnectionBroke)) throw error;
      if (attempt === ATTEMPTS)
        throw new SourceUnavailable(`its connection broke ${ATTEMPTS} times (${error.message})`);
      if (fruitless === FRUITLESS) {
        throw new SourceUnavailable(
          `its connection broke ${FRUITLESS} times without bringing a byte (${error.message})`,
        );
      }
      if (fruitless > 0) await pause(PAUSE * 2 ** (fruitless - 1), context.signal);
      continue;
    }
    try {
      await verifyFile(path, remote.checksum);
      return;
    } catch (error) {
      // What was continued may have begun as another file: then once more, from nothing.
      if (!(error instanceof SourceUnavailable) || attempt === ATTEMPTS || before === 0) throw error;
    }
  }
}

/** Checks a file's checksum; a wrong one removes the file and throws {@link SourceUnavailable}. */
export async function verifyFile(path: string, checksum: Checksum): Promise<void> {
  const { algorithm, value } = checksum;
  const found = await digestOfFile(path, checksum);
  if (found === value) return;
  rmSync(path);
  throw new SourceUnavailable(`its ${algorithm.toUpperCase()} is ${found} instead of ${value}`);
}

async function append(remote: RemoteFile, path: string, from: number, context: FetchContext): Promise<void> {
  const headers: Record<string, string> = from > 0 ? { range: `bytes=${from}-` } : {};
  const response = await openUrl(remote.url, headers, context);
  try {
    let size = startOf(response, from, remote.bytes);
    const file = await open(writeTarget(path), size > 0 ? "a" : "w");
    try {
      for await (const chunk of bodyOf(response, context.signal)) {
        if (size + chunk.length > remote.bytes) throw new SourceUnavailable(`it has more than ${remote.bytes} bytes`);
        await file.writeFile(chunk);
        size += chunk.length;
        context.onProgress({ stage: "download", location: remote.url, bytes: size, total: remote.bytes });
      }
    } finally {
      await file.close();
    }
    if (size < remote.bytes) throw new ConnectionBroke(`it ended after ${size} of ${remote.bytes} bytes`);
  } finally {
    response.destroy();
  }
}

/** The byte of the file at which the response begins: `from`, or 0 when the server sends the whole. */
function startOf({ statusCode = 0, headers }: IncomingMessage, from: number, bytes: number): number {
  const whole = statusCode === 200;
  if (!whole && !(statusCode === 206 && headers["content-range"]?.startsWith(`bytes ${from}-`))) {
    throw new SourceUnavailable(`HTTP status ${statusCode}`);
  }
  const start = whole ? 0 : from;
  const length = headers["content-length"];
  if (length !== undefined && start + Number(length) !== bytes) {
    throw new SourceUnavailable(`it has ${start + Number(length)} bytes instead of ${bytes}`);
  }
  return start;
}

/** Waits so many milliseconds; throws the signal's reason on abort. */
async function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  await setTimeout(milliseconds, undefined, { signal }).catch((error: unknown) => {
    signal?.throwIfAborted();
    throw error;
  });
}

function sizeOf(path: string): number {
  return statsOf(path)?.size ?? 0;
}
