import type { Dirent } from "node:fs";
import { readdir, realpath, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { UserError } from "@peekaboo/torch/errors";
import { sortByCodePoints } from "./code-points.js";

/** The images of one split, in torchvision's order: by class, then by folder, then by name. */
export interface ImageFiles {
  /** Each image's file, relative to its class's folder. */
  names: readonly string[];
  /** Each image's class. */
  labels: Int32Array;
}

/** The two splits of an image folder. */
export const IMAGE_SPLITS = ["train", "val"] as const;
export type ImageSplit = (typeof IMAGE_SPLITS)[number];

/** What is in an image folder: `SPLIT/CLASS/…/NAME.jpg` and so on. */
export interface ImageFolderScan extends Record<ImageSplit, ImageFiles> {
  folder: string;
  /** The classes' names; a label is a position in them. */
  classes: readonly string[];
}

const IMAGE = /\.(jpe?g|png|webp)$/i;
/** Class folders that are read at a time: more than the four that Node's thread pool serves keeps it busy. */
const CONCURRENCY = 16;

/**
 * Lists the images below `train/CLASS/` and `val/CLASS/`: JPEG, PNG and WebP by their names' endings, in folders below the
 * class's too, links followed but for those that lead back to a folder they are in. Classes, folders and files are in code
 * point order, as torchvision.datasets.ImageFolder has them.
 *
 * Throws UserError when a folder is missing or unreadable, and when a class has no image or is in one split only.
 */
export async function scanImageFolder(folder: string): Promise<ImageFolderScan> {
  const [trainClasses, valClasses] = [await classesOf(folder, "train"), await classesOf(folder, "val")];
  checkSameClasses(folder, trainClasses, valClasses);
  const train = await scanSplit(folder, "train", trainClasses);
  const val = await scanSplit(folder, "val", trainClasses);
  return { folder, classes: trainClasses, train, val };
}

/** The path of image `index` of a split. */
export function imagePath({ folder, classes, ...splits }: ImageFolderScan, split: ImageSplit, index: number): string {
  const { names, labels } = splits[split];
  return join(folder, split, classes[labels[index] ?? -1] ?? "", names[index] ?? "");
}

async function classesOf(folder: string, split: ImageSplit): Promise<string[]> {
  const path = join(folder, split);
  const entries = await entriesOf(path);
  const isClass = await Promise.all(entries.map(async (entry) => (await kindOf(path, entry)) === "folder"));
  const classes = entries.filter((_, i) => isClass[i]).map(({ name }) => name);
  if (classes.length === 0) throw fault(path, "a folder for each class", "none");
  return sortByCodePoints(classes);
}

function checkSameClasses(folder: string, train: readonly string[], val: readonly string[]): void {
  const check = (has: readonly string[], lacks: readonly string[], split: ImageSplit, other: ImageSplit): void => {
    const there = new Set(lacks);
    const missing = has.filter((name) => !there.has(name));
    const [first] = missing;
    if (first === undefined) return;
    const others = missing.length === 1 ? "" : ` (nor ones for ${missing.length - 1} more classes)`;
    const expected = `a folder, as ${other} has one`;
    throw fault(join(folder, split, first), expected, `none${others}`, "train and val need the same classes");
  };
  check(train, val, "val", "train");
  check(val, train, "train", "val");
}

async function scanSplit(folder: string, split: ImageSplit, classes: readonly string[]): Promise<ImageFiles> {
  const lists: string[][] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let label = next++; label < classes.length; label = next++) {
      lists[label] = await imagesBelow(join(folder, split, classes[label] ?? ""));
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, lane));
  const labels = new Int32Array(lists.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const [label, { length }] of lists.entries()) {
    labels.fill(label, at, at + length);
    at += length;
  }
  return { names: lists.flat(), labels };
}

/** The images at and below a class's folder, relative to it. */
async function imagesBelow(path: string): Promise<string[]> {
  const folders = new Map<string, string[]>();
  const real = await realpath(path).catch(() => path);
  await walk(path, "", ancestorsOf(real), folders);
  const images = sortByCodePoints([...folders.keys()]).flatMap((below) => folders.get(below) ?? []);
  if (images.length === 0) throw fault(path, "at least one image (.jpg, .jpeg, .png, .webp)", "none");
  return images;
}

function ancestorsOf(path: string): string[] {
  const parent = dirname(path);
  return parent === path ? [] : [...ancestorsOf(parent), parent];
}

/** Collects the images of the folder `below` the class's at `path`, and of its own folders; `above` are the real paths it is in. */
async function walk(
  path: string,
  below: string,
  above: readonly string[],
  found: Map<string, string[]>,
): Promise<void> {
  const here = join(path, below);
  const entries = await entriesOf(here);
  const images: string[] = [];
  const folders: string[] = [];
  for (const entry of entries) {
    // A plain file needs no look at what a link leads to: of a million files, none is touched.
    const kind = entry.isFile() ? "file" : await kindOf(here, entry);
    if (kind === "folder") folders.push(entry.name);
    else if (kind === "file" && IMAGE.test(entry.name)) images.push(entry.name);
  }
  // Below their names, so that the folders sort as the whole paths do.
  found.set(
    below,
    sortByCodePoints(images).map((name) => (below === "" ? name : join(below, name))),
  );
  if (folders.length === 0) return;
  const real = await realpath(here);
  if (above.includes(real)) {
    found.delete(below);
    return;
  }
  for (const name of folders) await walk(path, join(below, name), [...above, real], found);
}

/** What an entry is, or what it links to. A link to nothing passes for a file, so that the image is missed by its name. */
async function kindOf(path: string, entry: Dirent): Promise<"file" | "folder" | "other"> {
  if (entry.isDirectory()) return "folder";
  if (entry.isFile()) return "file";
  if (!entry.isSymbolicLink()) return "other";
  try {
    const target = await stat(join(path, entry.name));
    if (target.isDirectory()) return "folder";
    return target.isFile() ? "file" : "other";
  } catch {
    return "file";
  }
}

async function entriesOf(path: string): Promise<Dirent[]> {
  try {
    return await readdir(path, { withFileTypes: true });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const received = code === "ENOENT" ? "none" : message;
    throw fault(path, "a folder that can be read", received, undefined, error);
  }
}

function fault(path: string, expected: string, received: string, remedy?: string, cause?: unknown): UserError {
  return new UserError({
    operation: "open image folder",
    argument: JSON.stringify(path),
    expected,
    received,
    ...(remedy === undefined ? {} : { remedy }),
    cause,
  });
}
