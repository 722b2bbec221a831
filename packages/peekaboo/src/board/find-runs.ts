import { type Dirent, readdirSync } from "node:fs";
import { basename, join, relative } from "node:path";

const METRICS = "metrics.jsonl";
/** How far below the folder a run may lie. */
const MOST_DEEP = 5;
/** The most runs that are followed. */
const MOST_RUNS = 1000;
/** Folders looked into: somebody may name the whole disk. */
const MOST_FOLDERS = 10_000;

/** The folders of the runs below a folder, itself included, with their names seen from it; neither links nor hidden folders are followed. */
export function findRuns(folder: string): { name: string; path: string }[] {
  const found: string[] = [];
  let looked = 0;
  let level = [folder];
  for (let depth = 0; depth <= MOST_DEEP && looked < MOST_FOLDERS; depth++) {
    const entered = level.slice(0, MOST_FOLDERS - looked).map((path) => ({ path, entries: entriesOf(path) }));
    looked += entered.length;
    found.push(...entered.filter(({ entries }) => entries.some(isMetrics)).map(({ path }) => path));
    level = entered.flatMap(({ path, entries }) => entries.filter(isOpenFolder).map(({ name }) => join(path, name)));
  }
  return found.slice(0, MOST_RUNS).map((path) => ({ name: relative(folder, path) || basename(path), path }));
}

function isMetrics(entry: Dirent): boolean {
  return entry.isFile() && entry.name === METRICS;
}

function isOpenFolder(entry: Dirent): boolean {
  return entry.isDirectory() && !entry.name.startsWith(".");
}

/** A folder's entries in order; none of one that is gone or closed. */
export function entriesOf(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch {
    return [];
  }
}
