import { type Stats, statSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { readWhole } from "@peekaboo/files";
import { printable, quoted, UserError } from "@peekaboo/files/errors";
import { readArchive } from "../formats/archive.js";
import type { Files } from "../source.js";

type Limits = Readonly<Record<string, number>>;

/**
 * The wanted files of a tar archive or of a folder, read into memory and keyed by name. A wanted file may also be there
 * gzipped, as NAME.gz. `limits` gives each wanted file's most bytes, unzipped.
 *
 * @throws {UserError} when the archive, or one of the files, is damaged, unreadable or over its limit. Files that are missing
 * are simply not in the result.
 */
export async function readFiles(path: string, limits: Limits): Promise<Files> {
  const either = Object.entries(limits).flatMap(([name, limit]) => [
    [name, limit],
    [`${name}.gz`, zippedLimit(limit)],
  ]);
  const folder = statsOf(path)?.isDirectory() ?? false;
  const found = await (folder ? readFolder : readArchive)(path, Object.fromEntries(either));
  return unzipped(path, found, limits);
}

/** What the system says of a path; undefined when nothing is there, or out of reach. */
export function statsOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

/** The most bytes of a gzipped file: deflate adds five for each block that it can't compress. */
function zippedLimit(limit: number): number {
  return Math.ceil(limit * 1.01) + 4096;
}

async function readFolder(folder: string, limits: Limits): Promise<Files> {
  const found = new Map<string, Uint8Array>();
  for (const [name, limit] of Object.entries(limits)) {
    const path = join(folder, name);
    if (name.endsWith(".gz") && found.has(name.slice(0, -".gz".length))) continue;
    const info = statsOf(path);
    if (!info?.isFile()) continue;
    found.set(name, readWhole("read folder", path, limit));
  }
  return found;
}

async function unzipped(path: string, found: Files, limits: Limits): Promise<Files> {
  const files = new Map<string, Uint8Array>();
  for (const [name, limit] of Object.entries(limits)) {
    const plain = found.get(name);
    const zipped = found.get(`${name}.gz`);
    if (plain !== undefined) files.set(name, plain);
    else if (zipped !== undefined) files.set(name, await unzip(join(path, `${name}.gz`), zipped, limit));
  }
  return files;
}

/** Takes no more memory than `limit`, whatever the file would unzip to. */
async function unzip(path: string, content: Uint8Array, limit: number): Promise<Uint8Array> {
  try {
    return await promisify(gunzip)(content, { maxOutputLength: limit });
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException;
    const received = code === "ERR_BUFFER_TOO_LARGE" ? "more" : printable(message);
    throw fileError("unzip", path, `whole gzip data of at most ${limit} bytes`, received);
  }
}

function fileError(operation: string, path: string, expected: string, received: string): UserError {
  return new UserError({ operation, argument: quoted(path), expected, received });
}
