import { existsSync } from "node:fs";
import { quoted, UserError } from "@peekaboo/files/errors";
import { type ArchiveIdentity, cachePath, dataFolder, importedFrom, readCache } from "./cache.js";
import { digestOfFile } from "./checksum.js";
import { type Dataset, type DatasetOptions, datasetOf, guarded, store, verify } from "./dataset.js";
import { readFiles, statsOf } from "./fetch/files.js";
import { findSource } from "./sets/sources.js";
import type { Candidate, DatasetSource } from "./source.js";
import { wrongFile } from "./verify.js";

/**
 * Takes a data set from an archive, or a folder of unpacked files, that the user already has, in the format of any of its
 * sources, instead of the network. An archive that it was taken from before isn't unpacked again.
 *
 * @throws {UserError} when `file` isn't such an archive or folder, or its contents aren't the data set's.
 */
export async function importDataset(name: string, file: string, options: DatasetOptions = {}): Promise<Dataset> {
  return importSource(findSource(name), file, options);
}

/** {@link importDataset} for a source that needn't be registered. */
export async function importSource(
  source: DatasetSource,
  file: string,
  options: DatasetOptions = {},
): Promise<Dataset> {
  const { folder = dataFolder(), onProgress } = options;
  const path = cachePath(folder, source);
  const there = await importedBefore(path, source, file);
  if (there !== undefined) return there;
  onProgress?.({ stage: "unpack" });
  const files = await readFiles(file, limitsOf(source.candidates));
  const candidate = source.candidates.find((known) => Object.keys(known.files).every((name) => files.has(name)));
  if (candidate === undefined) throw unknownArchive(source, file, [...files.keys()]);
  const wrong = wrongFile(files, candidate.checksums);
  if (wrong !== undefined) throw alteredFile(source, file, wrong);
  const arrays = await given(source, file, async () => {
    const decoded = await candidate.decode(files);
    verify(source, decoded, options);
    return decoded;
  });
  const archive = await archiveIdentity(file);
  return guarded(folder, source, options, async () => store(path, source, options, arrays, archive));
}

/** Runs `action` on what the user gave; its refusal names that. */
async function given<T>(source: DatasetSource, file: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw new UserError({
      operation: `import ${source.title}`,
      argument: quoted(file),
      expected: "the data set as it was published",
      received: `something else (${error.message.replace(/\.$/, "")})`,
      cause: error,
    });
  }
}

/** The stored data set, if it is whole and was taken from this very archive. */
async function importedBefore(path: string, source: DatasetSource, file: string): Promise<Dataset | undefined> {
  const known = existsSync(path) ? importedFrom(path) : undefined;
  // The size first: to read a large file of another size would tell nothing more.
  if (known === undefined || statsOf(file)?.size !== known.bytes) return undefined;
  if ((await archiveIdentity(file))?.sha256 !== known.sha256) return undefined;
  try {
    return datasetOf(source, readCache(path, source));
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}

/** By what an archive is known again; undefined for a folder, and for what can't be read. */
async function archiveIdentity(file: string): Promise<ArchiveIdentity | undefined> {
  const info = statsOf(file);
  if (!info?.isFile()) return undefined;
  const sha256 = await digestOfFile(file, { algorithm: "sha256", encoding: "hex" }).catch(() => undefined);
  return sha256 === undefined ? undefined : { bytes: info.size, sha256 };
}

/** Each file that some candidate needs, with the most bytes that any of them allows. */
function limitsOf(candidates: readonly Candidate[]): Record<string, number> {
  const limits = new Map<string, number>();
  for (const [name, bytes] of candidates.flatMap(({ files }) => Object.entries(files))) {
    limits.set(name, Math.max(bytes, limits.get(name) ?? 0));
  }
  return Object.fromEntries(limits);
}

function unknownArchive(source: DatasetSource, file: string, found: readonly string[]): UserError {
  const wanted = source.candidates.map(({ files }) => {
    const [first, ...others] = Object.keys(files);
    return others.length === 0 ? first : `${first} and ${others.length} more`;
  });
  return new UserError({
    operation: `import ${source.title}`,
    argument: quoted(file),
    expected: `an archive or a folder that holds ${[...new Set(wanted)].join(", or ")}`,
    received: found.length === 0 ? "none of these files" : `only ${found.join(", ")}`,
  });
}

function alteredFile(source: DatasetSource, file: string, wrong: NonNullable<ReturnType<typeof wrongFile>>): UserError {
  const { name, expected, received } = wrong;
  return new UserError({
    operation: `import ${source.title}`,
    argument: `${name} of ${quoted(file)}`,
    expected: `the published file (${expected})`,
    received: `another (${received})`,
  });
}
