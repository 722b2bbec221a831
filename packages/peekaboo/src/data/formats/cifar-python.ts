import { UserError } from "@peekaboo/files/errors";
import {
  isSequence,
  kindOf,
  NumpyArray,
  numpyGlobals,
  type PickleDict,
  type PickleValue,
  unpickle,
} from "@peekaboo/pth/pickle";
import type { DatasetArrays, Files, SplitArrays, SplitName } from "../source.js";
import { interleave } from "./cifar-binary.js";

/** The layout of a CIFAR "python version": pickled dictionaries of `data`, uint8 [N, C×H×W], and a list of labels. */
export interface CifarPythonLayout {
  image: { height: number; width: number; channels: number };
  /** The files of each split, in order. */
  batches: Record<SplitName, readonly string[]>;
  /** "labels" in CIFAR-10, "fine_labels" in CIFAR-100. */
  labelsKey: string;
}

const OPERATION = "decode CIFAR python batches";
const REMEDY = "the file is damaged or not CIFAR's: get it again";

/**
 * Reads the official python batches (https://www.cs.toronto.edu/~kriz/cifar.html) into [N, H, W, C], executing nothing.
 *
 * @throws {UserError} when a batch is missing, is no such pickle or names a class other than numpy's array.
 */
export async function decodeCifarPython(files: Files, layout: CifarPythonLayout): Promise<DatasetArrays> {
  return {
    train: decodeBatches(files, layout.batches.train, layout),
    test: decodeBatches(files, layout.batches.test, layout),
  };
}

interface Batch {
  pixels: NumpyArray;
  labels: Uint8Array;
}

function decodeBatches(files: Files, names: readonly string[], layout: CifarPythonLayout): SplitArrays {
  const { height, width, channels } = layout.image;
  const size = height * width * channels;
  const batches = names.map((name) => readBatch(files, name, size, layout.labelsKey));
  const count = batches.reduce((sum, { labels }) => sum + labels.length, 0);
  const labels = new Uint8Array(count);
  const images = new Uint8Array(count * size);
  let done = 0;
  for (const batch of batches) {
    const rows = rowMajor(batch.pixels);
    labels.set(batch.labels, done);
    for (let i = 0; i < batch.labels.length; i++)
      interleave(rows, i * size, images, (done + i) * size, height * width, channels);
    done += batch.labels.length;
  }
  return { images, labels };
}

function readBatch(files: Files, name: string, size: number, labelsKey: string): Batch {
  const file = files.get(name);
  if (file === undefined) throw fault(name, "a file of this name", "none");
  const { value } = unpickle(file, {
    operation: OPERATION,
    source: name,
    globals: numpyGlobals,
    python2Strings: "bytes",
    remedies: { damaged: REMEDY, foreign: REMEDY },
  });
  if (!(value instanceof Map)) throw fault(name, "a dictionary", kindOf(value));
  const pixels = checkedPixels(name, value, size);
  return { pixels, labels: checkedLabels(name, value, labelsKey, pixels.shape[0] ?? 0) };
}

function checkedPixels(name: string, batch: PickleDict, size: number): NumpyArray {
  const pixels = batch.get("data");
  if (!(pixels instanceof NumpyArray)) throw fault(name, 'an array under "data"', kindOf(pixels));
  const { dtype, shape, data, bigEndian } = pixels;
  const [count = 0, columns] = shape;
  if (bigEndian) throw fault(name, 'a plain little-endian dtype under "data"', "a big-endian one");
  if (dtype !== "u1" || shape.length !== 2 || columns !== size)
    throw fault(name, `u1 [N, ${size}] under "data"`, `${dtype} [${shape.join(", ")}]`.slice(0, 80));
  if (data.byteLength !== count * size) throw fault(name, `${count * size} bytes of pixels`, `${data.byteLength}`);
  return pixels;
}

function checkedLabels(name: string, batch: PickleDict, key: string, count: number): Uint8Array {
  const labels = batch.get(key);
  if (!isSequence(labels)) throw fault(name, `a list under "${key}"`, kindOf(labels));
  if (labels.length !== count) throw fault(name, `${count} labels, one an image`, `${labels.length}`);
  return Uint8Array.from(labels, (label) => {
    if (isByte(label)) return label;
    throw fault(name, `integers in 0…255 under "${key}"`, kindOf(label));
  });
}

function isByte(value: PickleValue): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 255;
}

/** The elements of a matrix of bytes row after row: as they lie, or transposed from Fortran's order. */
function rowMajor({ data, shape, fortran }: NumpyArray): Uint8Array {
  const [rows = 0, columns = 0] = shape;
  if (!fortran) return data;
  const result = new Uint8Array(data.byteLength);
  for (let column = 0; column < columns; column++) {
    for (let row = 0; row < rows; row++) result[row * columns + column] = data[column * rows + row] ?? 0;
  }
  return result;
}

function fault(argument: string, expected: string, received: string): UserError {
  return new UserError({ operation: OPERATION, argument, expected, received });
}
