import { findSource } from "./sets/sources.js";

/** What each channel's pixels, scaled to [0, 1], are reduced by and divided by. */
export interface Normalisation {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** The statistics of ImageNet's training images, which every image folder is normalised by. */
export const IMAGENET: Normalisation = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

/** A data set's own, for images of so many channels: a grey set's stands for each of three. @throws {UserError} for an unknown name. */
export function normalisationOf(dataset: string, channels: number): Normalisation {
  const { mean, std } = findSource(dataset).normalisation;
  const repeated = (values: readonly number[]) =>
    Array.from({ length: channels }, (_, c) => values[c] ?? values[0] ?? 0);
  return { mean: repeated(mean), std: repeated(std) };
}
