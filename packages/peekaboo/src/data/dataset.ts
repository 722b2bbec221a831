import { existsSync, readdirSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { makeFolder, refuseUnwritable } from "@peekaboo/files";
import { printable, quoted, UserError } from "@peekaboo/files/errors";
import { setting } from "../setting.js";
import { type ArchiveIdentity, cachePath, dataFolder, readCache, writeCache } from "./cache.js";
import { statsOf } from "./fetch/files.js";
import { withLock } from "./lock.js";
import { findSource, SOURCES } from "./sets/sources.js";
import {
  type AugmentationRule,
  type DataProgress,
  type DatasetArrays,
  type DatasetSource,
  type FetchContext,
  SourceUnavailable,
  type SplitArrays,
  type SplitName,
} from "./source.js";
import { verifyArrays } from "./verify.js";

/** One split in memory: `images` uint8 [count, height, width, channels], `labels` uint8 [count]. */
export interface Split extends SplitArrays {
  count: number;
  height: number;
  width: number;
  channels: number;
}

/** A verified data set; `mean` and `std` normalise pixels scaled to [0, 1]. */
export interface Dataset {
  name: string;
  title: string;
  classes: readonly string[];
  mean: readonly number[];
  std: readonly number[];
  augmentation: AugmentationRule;
  train: Split;
  test: Split;
}

/** Options of whatever may fetch or import. */
export interface DatasetOptions {
  /** Where data sets are kept; default: `PEEKABOO_DATA`, else the user's cache. */
  folder?: string;
  onProgress?(progress: DataProgress): void;
  /** Cancels fetching; what has been downloaded is kept for the next time. */
  signal?: AbortSignal;
}

/** Options of {@link openDataset}. */
export interface OpenOptions extends DatasetOptions {
  /** Never touch the network: a missing data set is a UserError. */
  offline?: boolean;
  /** Fetch a damaged file anew instead of throwing. */
  repair?: boolean;
}

/** Milliseconds until a connection must stand, and that may pass without a byte. */
type Timing = Pick<FetchContext, "connectTimeout" | "stallTimeout">;

const TIMING: Timing = { connectTimeout: 5000, stallTimeout: 30_000 };

/**
 * Opens a data set by name, fetching it first when it isn't there.
 *
 * @throws {UserError} for an unknown name, a damaged file, a folder that can't be written, and when no source is reachable.
 */
export async function openDataset(name: string, options: OpenOptions = {}): Promise<Dataset> {
  return openSource(findSource(name), options);
}

/** {@link openDataset} for a source that needn't be registered. */
export async function openSource(source: DatasetSource, options: OpenOptions = {}, timing = TIMING): Promise<Dataset> {
  const { folder = dataFolder(), offline = false, repair = false } = options;
  const path = cachePath(folder, source);
  const usable = (): Dataset | undefined => {
    try {
      return existsSync(path) ? datasetOf(source, readCache(path, source)) : undefined;
    } catch (error) {
      if (repair && !offline && error instanceof UserError) return undefined;
      throw error;
    }
  };
  const there = usable();
  if (there !== undefined) return there;
  if (offline) throw missing(source, path);
  return guarded(folder, source, options, async (downloads) => {
    const meanwhile = usable();
    if (meanwhile !== undefined) return meanwhile;
    const arrays = await fetchArrays(source, downloads, options, timing);
    verify(source, arrays, options);
    return store(path, source, options, arrays);
  });
}

/** Which data sets there are, and which are on this machine. */
export interface DatasetStatus {
  name: string;
  title: string;
  classes: number;
  train: number;
  test: number;
  /** The file, whether or not it is there. */
  path: string;
  /** Its size; undefined when the data set hasn't been fetched. */
  bytes: number | undefined;
}

/** The state of every known data set; looks at sizes only, opens nothing. */
export function datasetStatus(folder: string = dataFolder()): DatasetStatus[] {
  return SOURCES.map((source) => {
    const path = cachePath(folder, source);
    return {
      name: source.name,
      title: source.title,
      classes: source.classes.length,
      train: source.splits.train.count,
      test: source.splits.test.count,
      path,
      bytes: statsOf(path)?.size,
    };
  });
}

/** Runs `action` with a folder for downloads, alone among the processes that share the data folder. */
export async function guarded(
  folder: string,
  source: DatasetSource,
  { signal, onProgress }: DatasetOptions,
  action: (downloads: string) => Promise<Dataset>,
): Promise<Dataset> {
  try {
    prepareFolder(folder, source);
    const waiting = { signal, onWait: () => onProgress?.({ stage: "wait" }) };
    return await withLock(join(folder, `${source.name}.lock`), waiting, () => {
      return withDownloads(join(folder, `${source.name}.download`), action);
    });
  } catch (error) {
    throw isSystemError(error) ? folderFault(error, folder, source) : error;
  }
}

/** Makes the data folder. @throws {UserError} when the data set couldn't be stored there once it is fetched. */
function prepareFolder(folder: string, source: DatasetSource): void {
  const operation = `store ${source.title}`;
  try {
    makeFolder(operation, folder);
    refuseUnwritable(operation, cachePath(folder, source));
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw error.withRemedy("remove what is there, or set PEEKABOO_DATA to another folder");
  }
}

/** Makes the folder for downloads and removes it, unless `action` fails with something in it to go on from. */
async function withDownloads<T>(downloads: string, action: (downloads: string) => Promise<T>): Promise<T> {
  makeFolder("fetch", downloads);
  let keep = false;
  try {
    return await action(downloads);
  } catch (error) {
    // After a full disk, give back what the download took.
    const full = isSystemError(error) || (error instanceof UserError && isSystemError(error.cause));
    keep = !full && readdirSync(downloads).length > 0;
    throw error;
  } finally {
    if (!keep) rmSync(downloads, { recursive: true, force: true });
  }
}

async function fetchArrays(source: DatasetSource, folder: string, options: DatasetOptions, timing: Timing) {
  const { signal } = options;
  const onProgress = (progress: DataProgress) => options.onProgress?.(progress);
  const context: FetchContext = { folder, onProgress, ...timing, ...(signal === undefined ? {} : { signal }) };
  const failures: string[] = [];
  for (const candidate of source.candidates) {
    if (candidate.load === undefined) continue;
    signal?.throwIfAborted();
    try {
      return await candidate.decode(await candidate.load(context));
    } catch (error) {
      if (!(error instanceof SourceUnavailable)) throw error;
      const reason = printable(error.message);
      failures.push(`${candidate.location}: ${reason}`);
      onProgress({ stage: "unreachable", location: candidate.location, reason });
    }
  }
  throw unreachable(source, dirname(folder), failures);
}

/** Checks arrays against all that is known of the data set. @throws {UserError} for the first difference. */
export function verify(source: DatasetSource, arrays: DatasetArrays, { onProgress }: DatasetOptions): void {
  onProgress?.({ stage: "verify" });
  verifyArrays(source, arrays);
}

/** Writes verified arrays to the cache. */
export async function store(
  path: string,
  source: DatasetSource,
  options: DatasetOptions,
  arrays: DatasetArrays,
  archive?: ArchiveIdentity,
): Promise<Dataset> {
  const { signal, onProgress } = options;
  signal?.throwIfAborted();
  onProgress?.({ stage: "store" });
  writeCache(path, source, arrays, archive);
  return datasetOf(source, arrays);
}

/** The data set as its users get it. */
export function datasetOf(source: DatasetSource, arrays: DatasetArrays): Dataset {
  const { name, title, classes, normalisation, augmentation, image } = source;
  const split = (part: SplitName): Split => ({ ...arrays[part], count: source.splits[part].count, ...image });
  return { name, title, classes, ...normalisation, augmentation, train: split("train"), test: split("test") };
}

function missing(source: DatasetSource, path: string): UserError {
  return new UserError({
    operation: `open ${source.title}`,
    argument: quoted(path),
    expected: "a data set fetched before",
    received: "none",
    remedy: `run \`peekaboo data ${source.name}\` while connected`,
  });
}

function unreachable(source: DatasetSource, folder: string, failures: readonly string[]): UserError {
  return new UserError({
    operation: `fetch ${source.title}`,
    argument: "the data set's sources",
    expected: "one that can be reached",
    received: `failures from all of them (${failures.join(" | ")})`,
    remedy: [
      "connect to the network (npm's registry and proxy settings are used)",
      ...source.candidates.flatMap(({ remedy }) => remedy ?? []),
      `give an archive from elsewhere by \`peekaboo data ${source.name} --from FILE\``,
      `copy ${basename(cachePath(folder, source))} from another machine into ${printable(folder)}`,
    ].join(", or "),
  });
}

function isSystemError(error: unknown): error is Error {
  return error instanceof Error && "syscall" in error;
}

function folderFault(cause: Error, folder: string, source: DatasetSource): UserError {
  return new UserError({
    operation: `store ${source.title}`,
    argument: `the data folder ${quoted(folder)}`,
    expected: "a folder that can be written, with free space",
    received: printable(cause.message),
    remedy: `set PEEKABOO_DATA to another folder, give another ${setting("dataFolder")}, or free some space`,
    cause,
  });
}
