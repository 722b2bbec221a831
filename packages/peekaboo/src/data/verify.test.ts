import { describe, expect, it } from "vitest";
import { tinyArrays, tinySource } from "../../../../tests/support/data.js";
import type { DatasetArrays, DatasetSource } from "./source.js";
import { verifyArrays } from "./verify.js";

const source = tinySource([]);

/** The tiny data set with one byte changed. */
function altered(split: "train" | "test", part: "images" | "labels", index: number, value: number): DatasetArrays {
  const changed = Uint8Array.from(tinyArrays[split][part]);
  changed[index] = value;
  return { ...tinyArrays, [split]: { ...tinyArrays[split], [part]: changed } };
}

describe("verifyArrays", () => {
  it("accepts the true arrays", () => {
    expect(() => verifyArrays(source, tinyArrays)).not.toThrow();
  });

  it("counts labels and images", () => {
    const { images, labels } = tinyArrays.train;
    const fewerLabels = { ...tinyArrays, train: { images, labels: labels.subarray(1) } };
    expect(() => verifyArrays(source, fewerLabels)).toThrow(
      "expected 6 labels for the train labels, received 5 labels",
    );
    const fewerImages = { ...tinyArrays, train: { images: images.subarray(12), labels } };
    expect(() => verifyArrays(source, fewerImages)).toThrow(
      "expected 6 images for the train images, received 5 images",
    );
  });

  it("refuses a label that is no class", () => {
    const message = "verify Tiny: expected a class in 0…2 for label 1 of the test split, received 3.";
    expect(() => verifyArrays(source, altered("test", "labels", 1, 3))).toThrow(message);
  });

  it("counts the images of each class and compares the first labels", () => {
    const unbalanced = altered("train", "labels", 5, 1);
    expect(() => verifyArrays(source, unbalanced)).toThrow("expected 2 for the train images of class ant, received 1.");
    const swapped = { ...tinyArrays, test: { ...tinyArrays.test, labels: Uint8Array.of(0, 2, 1) } };
    expect(() => verifyArrays(source, swapped)).toThrow("expected 2 0 1 for the first test labels, received 0 2 1");
  });

  it("compares the channel means to a ten-thousandth", () => {
    // Values 20 i + 4 p + c over i = 0…5, p = 0…3 have the mean 56 + c.
    const withMeans = (means: readonly number[]): DatasetSource => {
      const train = { ...source.splits.train, channelMeans: means };
      return { ...source, splits: { ...source.splits, train } };
    };
    const means = [56 / 255, 57 / 255, 58 / 255];
    expect(() => verifyArrays(withMeans(means), tinyArrays)).not.toThrow();
    const off = [56 / 255, 57 / 255, 58 / 255 + 2e-4];
    expect(() => verifyArrays(withMeans(off), tinyArrays)).toThrow("received 0.2196 0.2235 0.2275");
  });

  it("compares every array's SHA-256", () => {
    const swapped = altered("train", "images", 70, 0);
    expect(() => verifyArrays(source, swapped)).toThrow(/for the SHA-256 of the train images, received [0-9a-f]{64}\./);
    const labels = { ...tinyArrays, train: { ...tinyArrays.train, labels: Uint8Array.of(1, 0, 2, 1, 2, 0) } };
    expect(() => verifyArrays(source, labels)).toThrow("the SHA-256 of the train labels");
  });
});
