import { posix } from "node:path";
import { readInBackground, withFile } from "@peekaboo/files";
import { printable, quoted, UserError } from "@peekaboo/files/errors";
import type { ReadEntry } from "tar";
import type { Files } from "../source.js";

/** Bytes that are inflated at a time, all of whose output is held at once: deflate makes at most 1032 of one. */
const PIECE_BYTES = 2 ** 13;
const OPERATION = "read archive";

/** Bytes that are read at a time. */
const READ_BYTES = 2 ** 20;
/** What an archive may hold beside the wanted files: a readme, and headers. */
const EXTRA_BYTES = 2 ** 26;

/**
 * The wanted regular files of a tar archive (gzipped or not), read into memory and keyed by base name. Nothing is written,
 * so names like "../../x" and links do no harm. `limits` gives each wanted file's most bytes.
 *
 * @throws {UserError} when the archive is damaged, or holds a wanted name twice, as a link, or larger than its limit.
 * Files that are missing are simply not in the result.
 */
export async function readArchive(file: string, limits: Readonly<Record<string, number>>): Promise<Files> {
  refuseHuge(file, limits);
  const { Parser } = await import("tar");
  const found = new Map<string, Uint8Array>();
  let refusal: UserError | undefined;
  const collect = (entry: ReadEntry): void => {
    const name = posix.basename(entry.path);
    refusal ??= refuse(file, entry, limits[name] ?? 0, found.has(name));
    if (refusal !== undefined) {
      entry.resume();
      return;
    }
    const content = new Uint8Array(entry.size);
    found.set(name, content);
    let filled = 0;
    entry.on("data", (chunk) => {
      content.set(chunk, filled);
      filled += chunk.length;
    });
  };
  const parser = new Parser({
    strict: true,
    maxDecompressionRatio: 100,
    filter: (path) => Object.hasOwn(limits, posix.basename(path)),
    onReadEntry: collect,
  });
  const parsed = new Promise<void>((resolve, reject) => {
    parser.on("end", resolve);
    parser.on("error", reject);
  });
  const fed = (async () => {
    for await (const read of readInBackground(file, 0, READ_BYTES, OPERATION)) {
      // The parser keeps pieces for later, and the next read overwrites this one.
      const chunk = Buffer.from(read);
      for (let at = 0; at < chunk.length; at += PIECE_BYTES) {
        parser.write(chunk.subarray(at, at + PIECE_BYTES));
        if (refusal !== undefined) throw refusal;
      }
    }
    parser.end();
  })();
  try {
    await Promise.all([parsed, fed]);
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw archiveError(file, "a whole tar archive", printable(error instanceof Error ? error.message : String(error)));
  }
  if (refusal !== undefined) throw refusal;
  return found;
}

function refuse(file: string, entry: ReadEntry, limit: number, seen: boolean): UserError | undefined {
  const name = posix.basename(entry.path);
  if (seen) return archiveError(file, `one entry called ${name}`, "a second one");
  if (!["File", "OldFile", "ContiguousFile"].includes(entry.type)) {
    return archiveError(file, `${name} to be a regular file`, `an entry of type ${entry.type}`);
  }
  if (entry.size > limit) return archiveError(file, `${name} to have at most ${limit} bytes`, `${entry.size} bytes`);
  return undefined;
}

/** A file of any size can be made that takes no room on a disk, and would take years to read. */
function refuseHuge(file: string, limits: Readonly<Record<string, number>>): void {
  const most = Object.values(limits).reduce((sum, limit) => sum + limit, EXTRA_BYTES);
  const size = withFile(OPERATION, file, (open) => open.size);
  if (size > most) throw archiveError(file, `an archive of at most ${most} bytes`, `${size} bytes`);
}

function archiveError(file: string, expected: string, received: string): UserError {
  return new UserError({ operation: OPERATION, argument: quoted(file), expected, received });
}
