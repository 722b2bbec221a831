import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import { readSafetensors, readSafetensorsHeader, writeSafetensors } from "@peekaboo/files";
import { quoted, UserError } from "@peekaboo/files/errors";
import type { SafetensorsFile, TensorEntry } from "@peekaboo/files/safetensors";
import { sha256 } from "./checksum.js";
import { type DatasetArrays, type DatasetSource, SPLITS, type SplitArrays, type SplitName } from "./source.js";
import { checkLabels } from "./verify.js";

const VERSION = 1;

/** Where data sets are kept: `PEEKABOO_DATA`, else `$XDG_CACHE_HOME/peekaboo`, else `~/.cache/peekaboo`. */
export function dataFolder(environment: NodeJS.ProcessEnv = process.env): string {
  const { PEEKABOO_DATA: own, XDG_CACHE_HOME: cache } = environment;
  if (own !== undefined && own !== "") return own;
  // The XDG specification asks to ignore a relative path.
  return join(cache !== undefined && isAbsolute(cache) ? cache : join(homedir(), ".cache"), "peekaboo");
}

/** The file that holds a data set: safetensors with `train.images` [N, H, W, C], `train.labels` [N] and the same of test, all U8. */
export function cachePath(folder: string, source: DatasetSource): string {
  return join(folder, `${source.name}.v${VERSION}.safetensors`);
}

/** The archive that a data set was imported from. */
export interface ArchiveIdentity {
  bytes: number;
  /** SHA-256 in hex. */
  sha256: string;
}

/**
 * Writes a data set's file, whole or not at all.
 * @throws {UserError} when the disk forbids it.
 *
 * @param archive what the user gave it from, if it was an archive
 */
export function writeCache(
  path: string,
  source: DatasetSource,
  arrays: DatasetArrays,
  archive?: ArchiveIdentity,
): void {
  const from = archive && { "archive.bytes": String(archive.bytes), "archive.sha256": archive.sha256 };
  writeSafetensors(path, tensorsOf(source, arrays), { ...identityOf(source), ...checksumsOf(arrays), ...from });
}

/** What {@link writeCache} was told of the archive; undefined when it was told nothing or the file can't be read. */
export function importedFrom(path: string): ArchiveIdentity | undefined {
  try {
    const { "archive.bytes": bytes, "archive.sha256": sum } = readSafetensorsHeader(path).metadata;
    return bytes === undefined || sum === undefined ? undefined : { bytes: Number(bytes), sha256: sum };
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}

/**
 * Reads a data set's file and checks all of it, checksums included; the arrays are views of one buffer.
 *
 * @throws {UserError}, naming the file and how to get it anew, when it is truncated, altered or of another data set.
 */
export function readCache(path: string, source: DatasetSource): DatasetArrays {
  try {
    const file = readSafetensors(path);
    const arrays = { train: splitOf(source, file, "train"), test: splitOf(source, file, "test") };
    for (const split of SPLITS) checkLabels(source, split, arrays[split]);
    const sums = checksumsOf(arrays);
    checkMetadata({ ...file.metadata, ...identityOf(source) }, { ...file.metadata, ...sums });
    checkMetadata({ ...sums, ...pinned(source) }, sums);
    return arrays;
  } catch (error) {
    // A cause is the system's refusal to read the file, of which the message already tells the remedy.
    if (!(error instanceof UserError) || error.cause !== undefined) throw error;
    throw new UserError({
      operation: `open ${source.title}`,
      argument: quoted(path),
      expected: "the data set as it was fetched",
      // Without the reader's own advice, which knows no data sets.
      received: `a damaged file (${error.message.replace(/(; [^;]*)?\.$/, "")})`,
      remedy: `run \`peekaboo data ${source.name}\` to fetch it again`,
      cause: error,
    });
  }
}

function tensorsOf(source: DatasetSource, arrays: DatasetArrays): [string, TensorEntry][] {
  return SPLITS.flatMap((split) => {
    const { images, labels } = arrays[split];
    const shapes = shapesOf(source, split);
    return [
      [`${split}.images`, { dtype: "U8", shape: shapes.images, data: images }],
      [`${split}.labels`, { dtype: "U8", shape: shapes.labels, data: labels }],
    ] satisfies [string, TensorEntry][];
  });
}

function splitOf(source: DatasetSource, file: SafetensorsFile, split: SplitName): SplitArrays {
  const shapes = shapesOf(source, split);
  const read = (part: "images" | "labels"): Uint8Array => {
    const name = `${split}.${part}`;
    const entry = file.tensors.get(name);
    const found = entry === undefined ? "none" : `${entry.dtype} [${entry.shape.join(", ")}]`;
    const expected = `U8 [${shapes[part].join(", ")}]`;
    if (entry === undefined || found !== expected) throw fault(`tensor ${name}`, expected, found);
    return entry.data;
  };
  return { images: read("images"), labels: read("labels") };
}

function shapesOf(source: DatasetSource, split: SplitName): Record<"images" | "labels", number[]> {
  const { height, width, channels } = source.image;
  const { count } = source.splits[split];
  return { images: [count, height, width, channels], labels: [count] };
}

/** The metadata that says whose file it is. */
function identityOf(source: DatasetSource): Record<string, string> {
  return { format: "peekaboo-dataset", version: String(VERSION), dataset: source.name };
}

/** The metadata that holds each array's SHA-256. */
function checksumsOf(arrays: DatasetArrays): Record<string, string> {
  const entries = SPLITS.flatMap((split) => [
    [`${split}.images.sha256`, sha256(arrays[split].images)],
    [`${split}.labels.sha256`, sha256(arrays[split].labels)],
  ]);
  return Object.fromEntries(entries);
}

/** The checksums that are known beforehand: a file that is consistent in itself may still hold other images. */
function pinned(source: DatasetSource): Record<string, string> {
  return Object.fromEntries(
    SPLITS.flatMap((split) =>
      Object.entries(source.splits[split].sha256 ?? {}).map(([part, sum]) => [`${split}.${part}.sha256`, sum]),
    ),
  );
}

function checkMetadata(expected: Record<string, string>, received: Record<string, string>): void {
  for (const key of new Set([...Object.keys(expected), ...Object.keys(received)])) {
    const { [key]: wanted = "nothing" } = expected;
    const { [key]: found = "nothing" } = received;
    if (wanted !== found) throw fault(`metadata ${quoted(key)}`, quoted(wanted), quoted(found));
  }
}

function fault(argument: string, expected: string, received: string): UserError {
  return new UserError({ operation: "read data set", argument, expected, received });
}
