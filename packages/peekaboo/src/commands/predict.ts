import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { printable, quoted, UserError } from "@peekaboo/files/errors";
import { load, type Prediction, type Predictor } from "@peekaboo/runtime";
import { decodePixels, readImage } from "../data/image-folder/decode.js";
import { IMAGE_ENDINGS, isImageName } from "../data/image-folder/formats.js";
import { isPabFile, loadPab } from "../pab/read-pab.js";

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

/** The images that are meant: a folder stands for those in it, by their names' endings and in their names' order. */
export function imagesIn(paths: readonly string[]): string[] {
  return paths.flatMap((path) => {
    if (path === STDIN || !statSync(path, { throwIfNoEntry: false })?.isDirectory()) return [path];
    const names = readdirSync(path).filter(isImageName).sort();
    if (names.length > 0) return names.map((name) => join(path, name));
    throw refused(path, `an image in the folder (${IMAGE_ENDINGS.join(", ")})`, "none");
  });
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
