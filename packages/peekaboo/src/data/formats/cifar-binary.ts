import { UserError } from "@peekaboo/files/errors";
import type { DatasetArrays, Files, SplitArrays, SplitName } from "../source.js";

/** The layout of a CIFAR "binary version": records of `labelBytes` bytes (the last is the class) and C×H×W pixels. */
export interface CifarBinaryLayout {
  image: { height: number; width: number; channels: number };
  /** 1 in CIFAR-10; 2 in CIFAR-100, coarse label before fine label. */
  labelBytes: number;
  /** The files of each split, in order. */
  batches: Record<SplitName, readonly string[]>;
}

/**
 * Reads the official binary batches (https://www.cs.toronto.edu/~kriz/cifar.html) into [N, H, W, C].
 *
 * @throws {UserError} when a batch is missing or is no whole number of records.
 */
export async function decodeCifarBinary(files: Files, layout: CifarBinaryLayout): Promise<DatasetArrays> {
  return {
    train: decodeBatches(files, layout.batches.train, layout),
    test: decodeBatches(files, layout.batches.test, layout),
  };
}

function decodeBatches(files: Files, names: readonly string[], layout: CifarBinaryLayout): SplitArrays {
  const { height, width, channels } = layout.image;
  const plane = height * width;
  const recordBytes = layout.labelBytes + channels * plane;
  const batches = names.map((name) => {
    const batch = files.get(name);
    if (batch === undefined || batch.length % recordBytes !== 0) {
      throw new UserError({
        operation: "decode CIFAR binary batches",
        argument: name,
        expected: `records of ${recordBytes} bytes`,
        received: batch === undefined ? "no such file" : `${batch.length} bytes`,
      });
    }
    return batch;
  });
  const count = batches.reduce((sum, batch) => sum + batch.length / recordBytes, 0);
  const labels = new Uint8Array(count);
  const images = new Uint8Array(count * plane * channels);
  let index = 0;
  for (const batch of batches) {
    for (let start = 0; start < batch.length; start += recordBytes) {
      labels[index] = batch[start + layout.labelBytes - 1] ?? 0;
      interleave(batch, start + layout.labelBytes, images, index * plane * channels, plane, channels);
      index += 1;
    }
  }
  return { images, labels };
}

/** [C, H·W] at `from` → [H·W, C] at `to`. */
export function interleave(
  source: Uint8Array,
  from: number,
  out: Uint8Array,
  to: number,
  plane: number,
  channels: number,
): void {
  for (let channel = 0; channel < channels; channel++) {
    const offset = from + channel * plane;
    for (let pixel = 0; pixel < plane; pixel++) out[to + pixel * channels + channel] = source[offset + pixel] ?? 0;
  }
}
