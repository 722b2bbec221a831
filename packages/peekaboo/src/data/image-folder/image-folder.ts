import { UserError } from "@peekaboo/files/errors";
import { cores } from "@peekaboo/torch/cores";
import { ImageFolderBatches, type ImageFolderBatchesOptions } from "./batches.js";
import { fingerprints } from "./fingerprint.js";
import { DecoderPool } from "./pool.js";
import { type ImageSplit, scanImageFolder } from "./scan.js";

/** Options of {@link openImageFolder}. */
export interface ImageFolderOptions extends Partial<ImageFolderBatchesOptions> {
  /** Threads that read and decode; 0 does it in the calling thread. The default is as many as compute, but at most 4. */
  workers?: number;
  /** How many processes of this machine do the same, and share its processors. */
  processes?: number;
}

/** An image folder, ready to be read. Its threads start with the first batch. */
export interface ImageFolder {
  classes: readonly string[];
  train: ImageFolderBatches;
  val: ImageFolderBatches;
  /** A SHA-256 of each split's names and sizes; see {@link fingerprints}. */
  checksums(): Promise<Record<string, string>>;
  /** Ends the threads, whatever they do; the same as disposing of both splits. */
  dispose(): Promise<void>;
}

/** Threads of Node's own pool, in which libvips works, unless UV_THREADPOOL_SIZE says otherwise. */
const NODE_THREADS = 4;

/**
 * Opens a folder of images laid out as torchvision's ImageFolder has ImageNet, with `train/CLASS/` and `val/CLASS/`.
 *
 * @throws {UserError} for an option out of range, and where {@link scanImageFolder} does.
 */
export async function openImageFolder(folder: string, options: ImageFolderOptions = {}): Promise<ImageFolder> {
  const { imageSize = 224, onBadImage = "fail", onWarning = () => {}, device = "cpu", prefetch = 2 } = options;
  const { workers = Math.min(cores(options.processes).count, NODE_THREADS) } = options;
  checkInteger("imageSize", imageSize, 1, 4096);
  checkInteger("workers", workers, 0, 256);
  checkInteger("prefetch", prefetch, 1, 1024);
  warnOfFewThreads(workers, onWarning);
  const scan = await scanImageFolder(folder);
  warnOfPassedOver(scan.passedOver, onWarning);
  const pool = new DecoderPool({ workers });
  const open = new Set<ImageSplit>(["train", "val"]);
  const split = (name: ImageSplit): ImageFolderBatches => {
    const close = async (): Promise<void> => {
      open.delete(name);
      if (open.size === 0) await pool.dispose();
    };
    return new ImageFolderBatches(scan, name, pool, { imageSize, onBadImage, onWarning, device, prefetch }, close);
  };
  const checksums = () => fingerprints(scan);
  return { classes: scan.classes, train: split("train"), val: split("val"), checksums, dispose: () => pool.dispose() };
}

/** Kinds of files that a warning lists. */
const LISTED = 10;

/** Tells in one line how many files are no images, the most frequent first. */
function warnOfPassedOver(passedOver: ReadonlyMap<string, number>, onWarning: (message: string) => void): void {
  const sorted = [...passedOver].sort(([a, some], [b, others]) => others - some || (a < b ? -1 : 1));
  const total = (counts: readonly (readonly [string, number])[]) => counts.reduce((sum, [, count]) => sum + count, 0);
  const files = total(sorted);
  if (files === 0) return;
  const listed = sorted.slice(0, LISTED).map(([what, count]) => `${count} ${what}`);
  const others = total(sorted.slice(LISTED));
  if (others > 0) listed.push(`${others} others`);
  onWarning(`passed over ${files} ${files === 1 ? "file" : "files"}: ${listed.join(", ")}`);
}

function warnOfFewThreads(workers: number, onWarning: (message: string) => void): void {
  const threads = Number(process.env.UV_THREADPOOL_SIZE ?? NODE_THREADS);
  if (workers <= threads) return;
  onWarning(
    `${workers} workers decode at most ${threads} images at a time: set UV_THREADPOOL_SIZE=${workers} in the environment`,
  );
}

function checkInteger(argument: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  const expected = `an integer from ${least} to ${most}`;
  throw new UserError({ operation: "open image folder", argument, expected, received: String(value) });
}
