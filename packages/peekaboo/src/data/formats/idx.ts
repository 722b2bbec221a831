import { UserError } from "@peekaboo/files/errors";
import { numel } from "@peekaboo/files/safetensors";
import type { DatasetArrays, Files, SplitName } from "../source.js";

/** Which IDX files hold a data set of grey images: pixels [N, H, W] and labels [N], both unsigned bytes. */
export interface IdxLayout {
  image: { height: number; width: number; channels: 1 };
  files: Record<SplitName, { images: string; labels: string }>;
}

/** The four files of MNIST and of the data sets that were made to replace it. */
export const MNIST_LAYOUT: IdxLayout = {
  image: { height: 28, width: 28, channels: 1 },
  files: {
    train: { images: "train-images-idx3-ubyte", labels: "train-labels-idx1-ubyte" },
    test: { images: "t10k-images-idx3-ubyte", labels: "t10k-labels-idx1-ubyte" },
  },
};

/** The type byte of unsigned bytes. */
const UNSIGNED_BYTE = 0x08;

/** The bytes of a header for `rank` dimensions: two zeros, the type, the rank, and each dimension in four bytes. */
const headerBytes = (rank: number) => 4 + 4 * rank;

/** What each file of a layout has in bytes, by name, if the splits have `counts` images. */
export function idxSizes({ image, files }: IdxLayout, counts: Record<SplitName, number>): Record<string, number> {
  const sizes = (["train", "test"] as const).flatMap((split) => [
    [files[split].images, headerBytes(3) + counts[split] * image.height * image.width],
    [files[split].labels, headerBytes(1) + counts[split]],
  ]);
  return Object.fromEntries(sizes);
}

/**
 * Reads IDX files (the format of LeCun, Cortes and Burges' MNIST page) into [N, H, W, 1]; the arrays are views.
 *
 * @throws {UserError} when a file is missing, no IDX file of unsigned bytes, of another shape, or has not the bytes that its
 * header announces.
 */
export async function decodeIdx(files: Files, { image, files: names }: IdxLayout): Promise<DatasetArrays> {
  const split = ({ images, labels }: { images: string; labels: string }) => ({
    images: parseIdx(images, files.get(images), [image.height, image.width]),
    labels: parseIdx(labels, files.get(labels), []),
  });
  return { train: split(names.train), test: split(names.test) };
}

/** The items, each of shape `item`, of an IDX file. */
function parseIdx(name: string, content: Uint8Array | undefined, item: readonly number[]): Uint8Array {
  const rank = item.length + 1;
  const start = headerBytes(rank);
  const shape = ["N", ...item].join(", ");
  const fail = (expected: string, received: string) =>
    new UserError({ operation: "decode IDX files", argument: name, expected, received });
  if (content === undefined) throw fail("a file of this name", "none");
  if (content.length < start) throw fail(`a header of ${start} bytes`, `${content.length} bytes`);
  const view = new DataView(content.buffer, content.byteOffset, start);
  const magic = view.getUint32(0);
  if (magic !== UNSIGNED_BYTE * 256 + rank) {
    throw fail(`the magic number of unsigned bytes [${shape}]`, `0x${magic.toString(16).padStart(8, "0")}`);
  }
  const [count = 0, ...dimensions] = Array.from({ length: rank }, (_, axis) => view.getUint32(headerBytes(axis)));
  if (dimensions.some((size, axis) => size !== item[axis])) {
    throw fail(`the shape [${shape}]`, `[${[count, ...dimensions].join(", ")}]`);
  }
  // Exact: the count is below 2^32, and an item is as the layout says.
  const bytes = count * numel(item);
  if (content.length - start !== bytes) throw fail(`${start} + ${bytes} bytes`, `${content.length} bytes`);
  return content.subarray(start);
}
