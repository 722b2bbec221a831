import { type Dirent, readdirSync } from "node:fs";
import { basename, join, relative } from "node:path";

const METRICS = "metrics.jsonl";
/** How far below the folder a run may lie. */
const MOST_DEEP = 5;
/** The most runs that are followed. */
const MOST_RUNS = 1000;

/** The folders of the runs below a folder, itself included, with their names seen from it; links are not followed. */
export function findRuns(folder: string): { name: string; path: string }[] {
  const paths = [...runsBelow(folder, 0)].slice(0, MOST_RUNS);
  return paths.map((path) => ({ name: relative(folder, path) || basename(path), path }));
}

function* runsBelow(folder: string, depth: number): Generator<string> {
  const entries = entriesOf(folder);
  if (entries.some((entry) => entry.isFile() && entry.name === METRICS)) yield folder;
  if (depth === MOST_DEEP) return;
  for (const entry of entries) if (entry.isDirectory()) yield* runsBelow(join(folder, entry.name), depth + 1);
}

/** A folder's entries in order; none of one that is gone or closed. */
function entriesOf(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch {
    return [];
  }
}
