import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { printable, quoted, UserError } from "@peekaboo/files/errors";
import { load, type Prediction, type Predictor } from "@peekaboo/runtime";
import { isPabFile, loadPab } from "../checkpoint/pab-file.js";
import { decodePixels, readImage } from "../data/image-folder/decode.js";
import { IMAGE_ENDINGS, isImageName } from "../data/image-folder/formats.js";

/** The name of standard input among the images. */
const STDIN = "-";
const OPERATION = "predict";
/** More than any image that is decoded. */
const MAX_STDIN = 2 ** 28;

/** What a network makes of one image. */
export interface PredictedImage {
  readonly image: string;
  readonly prediction: Prediction;
  /** Milliseconds of the network alone and with the resizing, without decoding the file. */
  readonly milliseconds: number;
}

/** Loads the network of a .pab file. @throws {UserError} when the file is another or damaged. */
export async function loadPredictor(operation: string, path: string): Promise<Predictor> {
  if (!isPabFile(operation, path)) {
    throw new UserError({
      operation,
      argument: quoted(path),
      expected: "a .pab file",
      received: "another",
      remedy: "make one of a checkpoint by `peekaboo export CHECKPOINT --format pab`",
    });
  }
  return loadPab(operation, path, (bytes) => load(bytes));
}

/**
 * The images that a path means: a folder stands for those in it, by their names' endings and in their names' order.
 * @throws {UserError} for a folder without any, and one that can't be read.
 */
export function imagesIn(path: string): string[] {
  const names = path === STDIN ? null : namesIn(path);
  if (names === null) return [path];
  if (names.length > 0) return names.map((name) => join(path, name));
  throw refused(path, `an image in the folder (${IMAGE_ENDINGS.join(", ")})`, "none");
}

/** The images of a folder; null for what is none. */
function namesIn(path: string): string[] | null {
  try {
    if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) return null;
    return readdirSync(path).filter(isImageName).sort();
  } catch (error) {
    throw refused(path, "a file or folder that can be read", printable((error as Error).message));
  }
}

/**
 * What the network makes of an image's file.
 * @throws {UserError} when it can't be read, or is no image.
 */
export async function predictFile(network: Predictor, path: string, best: number): Promise<PredictedImage> {
  const pixels = await decode(path);
  const start = performance.now();
  const prediction = await network.predict(pixels, { best });
  return { image: path, prediction, milliseconds: performance.now() - start };
}

async function decode(path: string) {
  try {
    return await decodePixels(path === STDIN ? await readStdin() : readImage(path));
  } catch (error) {
    if (error instanceof UserError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    throw refused(path, "an image that can be read", code === "ENOENT" ? "no such file" : printable(message));
  }
}

async function readStdin(): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of process.stdin) {
    size += chunk.length;
    if (size > MAX_STDIN) throw new Error(`more than ${MAX_STDIN} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function refused(path: string, expected: string, received: string): UserError {
  return new UserError({ operation: OPERATION, argument: quoted(path), expected, received });
}
