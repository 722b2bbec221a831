import { statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { quoted, UserError } from "@peekaboo/files/errors";
import type { Config, TrainConfig } from "../config/config.js";
import { IMAGE_FOLDER } from "../config/options.js";
import type { ImageShape } from "../data/batch.js";
import { findSource } from "../data/sets/sources.js";
import { setting } from "../setting.js";
import { runFolder } from "./run-folder.js";

/** The images that a network was trained on, as its file tells. */
export interface RecordedImages {
  readonly path: string;
  readonly config: TrainConfig;
  readonly numClasses: number;
  /** What the outputs stand for, in order; null in files of earlier versions. */
  readonly classes: readonly string[] | null;
  readonly imageShape: ImageShape;
  /** Where the image folder was, absolute; null for another data set, and in files of earlier versions. */
  readonly folder: string | null;
}

/** The images that are here. */
interface Images {
  readonly title: string;
  readonly classes: readonly string[];
  readonly imageShape: ImageShape;
}

/** How many names a message lists. */
const LISTED = 4;

/**
 * @throws {UserError} unless images are of the classes, in number, names and order, and of the shape that a network was trained
 * on. A network that is only pruned is not yet for certain classes or sizes: of it the number and the channels count.
 */
export function refuseOtherImages(
  recorded: RecordedImages,
  { title, classes, imageShape }: Images,
  { operation, stage = "training" }: { operation: string; stage?: "pruned" | "training" },
): void {
  const refuse = (expected: string, received: string, remedy: string) =>
    new UserError({ operation, argument: quoted(recorded.path), expected, received, remedy });
  const { numClasses } = recorded;
  const known = stage === "pruned" ? null : classesOf(recorded);
  const like = "give the data set or folder that it was trained on, or one like it";
  if (numClasses !== classes.length || known?.some((name, i) => name !== classes[i])) {
    throw refuse(
      `images of its ${counted(numClasses)}${known === null ? "" : ` (${different(known, classes)})`}`,
      `${counted(classes.length)} (${different(classes, known ?? [])}) in ${title}`,
      like,
    );
  }
  const relevant = (shape: ImageShape) => (stage === "pruned" ? shape.slice(0, 1) : shape).join("×");
  if (relevant(recorded.imageShape) === relevant(imageShape)) return;
  throw refuse(
    `images of ${recorded.imageShape.join("×")}, as it was trained on`,
    imageShape.join("×"),
    remedyOfShape(recorded.imageShape, imageShape),
  );
}

function classesOf({ classes, config, numClasses }: RecordedImages): readonly string[] | null {
  const known = classes ?? (config.dataset === IMAGE_FOLDER ? null : findSource(config.dataset).classes);
  return known?.length === numClasses ? known : null;
}

function counted(classes: number): string {
  return classes === 1 ? "1 class" : `${classes} classes`;
}

/** Those of the names that the others lack, or all where that is none. */
function different(names: readonly string[], others: readonly string[]): string {
  const there = new Set(others);
  const own = names.filter((name) => !there.has(name));
  const told = own.length > 0 && own.length < names.length ? own : names;
  const which = told === own ? "among them " : "";
  const more = told.length > LISTED ? ", …" : "";
  return `${which}${told
    .slice(0, LISTED)
    .map((name) => quoted(name, 40))
    .join(", ")}${more}`;
}

function remedyOfShape([channels, height]: ImageShape, [there]: ImageShape): string {
  if (channels !== there)
    return channels === 1 ? `give ${setting("grey")} single` : `give ${setting("grey")} rgb, or images in colour`;
  return `give ${setting("imageSize")} ${height}, or images of that size`;
}

/**
 * The image folder of a recorded run: where its path leads from here, from where the run was started, from the run's own folder and
 * the one around, and where it was then.
 *
 * @param remedy what to do where there is none
 * @throws {UserError} that names the places
 */
export function findImageFolder(recorded: RecordedFolder, remedy: string): string {
  const { data, places } = placesOf(recorded);
  const found = existingFolder(recorded);
  if (found !== null) return found;
  throw new UserError({
    operation: "open image folder",
    argument: quoted(data),
    expected: `a folder at ${places.map((place) => quoted(place)).join(" or ")}`,
    received: "none",
    remedy,
  });
}

type RecordedFolder = Pick<RecordedImages, "path" | "folder"> & { config: Config<"data" | "savedir" | "expName"> };

/** The same; null where there is none. */
export function existingFolder(recorded: RecordedFolder): string | null {
  const { data, places } = placesOf(recorded);
  const found = places.find(isFolder);
  return found === resolve(data) ? data : (found ?? null);
}

function placesOf({ path, config, folder }: RecordedFolder): { data: string; places: string[] } {
  const { data } = config;
  if (data === null) throw new TypeError("findImageFolder: expected the configuration of an image folder");
  const beside = dirname(resolve(path));
  // The run lies in <savedir>/<exp-name>, seen from where it was started.
  const start = runFolder(config)
    .path.split("/")
    .map(() => "..");
  const around = [join(beside, ...start), beside, dirname(beside)].map((place) => resolve(place, data));
  const places = [...new Set([resolve(data), ...around, ...(folder === null ? [] : [folder])])];
  return { data, places };
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}
