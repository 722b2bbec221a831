import type { Dirent } from "node:fs";
import { readdir, realpath, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { printable, quoted, UserError } from "@peekaboo/files/errors";
import { sortByCodePoints } from "./code-points.js";
import { IMAGE_ENDINGS, isImageName } from "./formats.js";

/** The images of one split, in torchvision's order: by class, then by folder, then by name. */
interface ImageFiles {
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
  /** How many files are no images by their names, or are in no class's folder, by what they are. */
  passedOver: ReadonlyMap<string, number>;
}

/** What archivers and notebooks leave behind among the folders; files of theirs are hidden. */
const LEFTOVERS: ReadonlySet<string> = new Set(["__MACOSX"]);
/** Folders below one class's, beyond which links lead anywhere. */
const MAX_FOLDERS = 100_000;
const LONGEST_ENDING = 16;
/** Class folders that are read at a time: more than the four that Node's thread pool serves keeps it busy. */
const CONCURRENCY = 16;

/**
 * Lists the images below `train/CLASS/` and `val/CLASS/`, by their names' endings ({@link IMAGE_ENDINGS}), in folders below
 * the class's too. Classes, folders and files are in code point order, as torchvision.datasets.ImageFolder has them.
 * What is hidden (`.name`, `__MACOSX`) is neither image nor class.
 *
 * Links are followed. However many lead to a folder, a class has its images once: by their real path if it is below the
 * class, else by the link that comes first. A link to a folder that the class itself is in leads nowhere.
 *
 * @throws {UserError} when a folder is missing or unreadable, and when a class has no image or is in one split only.
 */
export async function scanImageFolder(folder: string): Promise<ImageFolderScan> {
  const passedOver = new Map<string, number>();
  const trainClasses = await classesOf(folder, "train", passedOver);
  checkSameClasses(folder, trainClasses, await classesOf(folder, "val", passedOver));
  const train = await scanSplit(folder, "train", trainClasses, passedOver);
  const val = await scanSplit(folder, "val", trainClasses, passedOver);
  return { folder, classes: trainClasses, train, val, passedOver };
}

/** The path of image `index` of a split. */
export function imagePath({ folder, classes, ...splits }: ImageFolderScan, split: ImageSplit, index: number): string {
  const { names, labels } = splits[split];
  return join(folder, split, classes[labels[index] ?? -1] ?? "", names[index] ?? "");
}

type Counts = Map<string, number>;

async function classesOf(folder: string, split: ImageSplit, passedOver: Counts): Promise<string[]> {
  const path = join(folder, split);
  const entries = await entriesOf(path);
  const kinds = await Promise.all(entries.map((entry) => kindOf(path, entry)));
  const classes = entries.filter((_, i) => kinds[i] === "folder").map(({ name }) => name);
  for (const [i, { name }] of entries.entries()) {
    if (kinds[i] === "file") count(passedOver, `${endingOf(name)} beside the classes`);
  }
  if (classes.length === 0) throw fault(path, "a folder for each class", "none");
  return sortByCodePoints(classes);
}

function count(counts: Counts, what: string): void {
  counts.set(what, (counts.get(what) ?? 0) + 1);
}

/** The ending of a file's name in lower case. */
function endingOf(name: string): string {
  const dot = name.lastIndexOf(".");
  return dot < 0 ? "without an ending" : printable(name.slice(dot).toLowerCase(), LONGEST_ENDING);
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

async function scanSplit(
  folder: string,
  split: ImageSplit,
  classes: readonly string[],
  passedOver: Counts,
): Promise<ImageFiles> {
  const lists: string[][] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let label = next++; label < classes.length; label = next++) {
      lists[label] = await imagesBelow(join(folder, split, classes[label] ?? ""), passedOver);
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
async function imagesBelow(path: string, passedOver: Counts): Promise<string[]> {
  const folders = new Map<string, string[]>();
  const real = await realpath(path).catch(() => path);
  const seen = new Set(ancestorsOf(real));
  // Links wait until the class's own folders are read, whose paths are the better names.
  const [own, linked]: [string[], string[]] = [[""], []];
  for (let below = own.pop(); below !== undefined; below = own.pop() ?? linked.shift()) {
    const { images, subfolders, links } = await contentsOf(path, below, passedOver);
    // A folder without any below it leads to none that has been seen.
    if (below !== "" || subfolders.length + links.length > 0) {
      const here = await read(join(path, below), (folder) => realpath(folder));
      if (seen.has(here)) continue;
      seen.add(here);
    }
    if (folders.size === MAX_FOLDERS) throw tooManyFolders(path);
    folders.set(below, images);
    own.push(...subfolders);
    linked.push(...links);
  }
  const images = sortByCodePoints([...folders.keys()]).flatMap((below) => folders.get(below) ?? []);
  if (images.length === 0) throw fault(path, `at least one image (${IMAGE_ENDINGS.join(", ")})`, "none");
  return images;
}

function ancestorsOf(path: string): string[] {
  const parent = dirname(path);
  return parent === path ? [] : [...ancestorsOf(parent), parent];
}

/** The images in the folder `below` a class's at `path`, the folders and the links to folders, sorted, relative to the class's. */
async function contentsOf(path: string, below: string, passedOver: Counts) {
  const here = join(path, below);
  const [images, subfolders, links]: [string[], string[], string[]] = [[], [], []];
  for (const entry of await entriesOf(here)) {
    const { name } = entry;
    // A plain file needs no look at what a link leads to: of a million files, none is touched.
    const kind = entry.isFile() ? "file" : await kindOf(here, entry);
    if (kind === "folder") (entry.isDirectory() ? subfolders : links).push(name);
    else if (kind === "file" && isImageName(name)) images.push(name);
    else count(passedOver, kind === "file" ? endingOf(name) : "not a file");
  }
  // Below their names, so that the folders sort as the whole paths do.
  const relative = (names: string[]) =>
    sortByCodePoints(names).map((name) => (below === "" ? name : join(below, name)));
  return { images: relative(images), subfolders: relative(subfolders), links: relative(links) };
}

function tooManyFolders(path: string): UserError {
  const remedy = "see where links below it lead";
  return fault(path, `at most ${MAX_FOLDERS} folders below a class's`, "more", remedy);
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

/** What is in a folder, but for what is hidden. */
async function entriesOf(path: string): Promise<Dirent[]> {
  const entries = await read(path, (folder) => readdir(folder, { withFileTypes: true }));
  return entries.filter(({ name }) => !name.startsWith(".") && !LEFTOVERS.has(name));
}

/** Does with a folder, which may vanish at any moment, what a user must hear of when it fails. */
async function read<T>(path: string, action: (path: string) => Promise<T>): Promise<T> {
  try {
    return await action(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const received = code === "ENOENT" ? "none" : printable(message);
    throw fault(path, "a folder that can be read", received, undefined, error);
  }
}

function fault(path: string, expected: string, received: string, remedy?: string, cause?: unknown): UserError {
  return new UserError({
    operation: "open image folder",
    argument: quoted(path),
    expected,
    received,
    ...(remedy === undefined ? {} : { remedy }),
    cause,
  });
}
