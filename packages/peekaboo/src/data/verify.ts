import { UserError } from "@peekaboo/files/errors";
import { type Checksum, digestOf, sha256 } from "./checksum.js";
import {
  type DatasetArrays,
  type DatasetSource,
  type Files,
  SPLITS,
  type SplitArrays,
  type SplitName,
} from "./source.js";

const MEAN_TOLERANCE = 1e-4;

/**
 * Checks decoded arrays against all that is known of a data set: image counts, labels in range, images of each class,
 * first labels, channel means, SHA-256.
 * @throws {UserError} with the first thing that differs.
 */
export function verifyArrays(source: DatasetSource, arrays: DatasetArrays): void {
  for (const split of SPLITS) {
    const facts = source.splits[split];
    checkLabels(source, split, arrays[split]);
    checkMeans(source, split, arrays[split].images);
    if (facts.sha256 === undefined) continue;
    for (const part of ["images", "labels"] as const) {
      expectSame(source, `the SHA-256 of the ${split} ${part}`, facts.sha256[part], sha256(arrays[split][part]));
    }
  }
}

/** Counts, label range, images of each class and first labels of one split. @throws {UserError} for the first that is wrong. */
export function checkLabels(source: DatasetSource, split: SplitName, { images, labels }: SplitArrays): void {
  const { count, histogram, firstLabels } = source.splits[split];
  const { height, width, channels } = source.image;
  expectSame(source, `the ${split} labels`, `${count} labels`, `${labels.length} labels`);
  expectSame(source, `the ${split} images`, `${count} images`, `${images.length / (height * width * channels)} images`);
  const found = Array<number>(source.classes.length).fill(0);
  for (const [index, label] of labels.entries()) {
    if (label >= found.length) {
      throw mismatch(source, `label ${index} of the ${split} split`, `a class in 0…${found.length - 1}`, `${label}`);
    }
    found[label] = (found[label] ?? 0) + 1;
  }
  for (const [label, images] of found.entries()) {
    expectSame(source, `the ${split} images of class ${source.classes[label]}`, `${histogram[label]}`, `${images}`);
  }
  const first = labels.subarray(0, firstLabels.length).join(" ");
  expectSame(source, `the first ${split} labels`, firstLabels.join(" "), first);
}

/** The first file that hasn't its checksum, and which it has; undefined when all have. */
export function wrongFile(files: Files, checksums: Readonly<Record<string, Checksum>> = {}) {
  for (const [name, checksum] of Object.entries(checksums)) {
    const content = files.get(name);
    const found = content === undefined ? "none" : digestOf(content, checksum);
    if (found === checksum.value) continue;
    const algorithm = checksum.algorithm.toUpperCase();
    return { name, expected: `${algorithm} ${checksum.value}`, received: `${algorithm} ${found}` };
  }
  return undefined;
}

function checkMeans(source: DatasetSource, split: SplitName, images: Uint8Array): void {
  const expected = source.splits[split].channelMeans;
  if (expected === undefined) return;
  const { channels } = source.image;
  const sums = Array<number>(channels).fill(0);
  for (let channel = 0; channel < channels; channel++) {
    let sum = 0;
    for (let index = channel; index < images.length; index += channels) sum += images[index] ?? 0;
    sums[channel] = sum;
  }
  const means = sums.map((sum) => (sum * channels) / images.length / 255);
  if (means.every((mean, channel) => Math.abs(mean - (expected[channel] ?? Number.NaN)) <= MEAN_TOLERANCE)) return;
  const received = means.map((mean) => mean.toFixed(4)).join(" ");
  throw mismatch(source, `the channel means of the ${split} images`, expected.join(" "), received);
}

function expectSame(source: DatasetSource, argument: string, expected: string, received: string): void {
  if (expected !== received) throw mismatch(source, argument, expected, received);
}

function mismatch(source: DatasetSource, argument: string, expected: string, received: string): UserError {
  return new UserError({ operation: `verify ${source.title}`, argument, expected, received });
}
