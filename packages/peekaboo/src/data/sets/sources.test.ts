import { describe, expect, it } from "vitest";
import { findSource, SOURCES } from "./sources.js";

describe("SOURCES", () => {
  it.each(SOURCES.map((source) => [source.name, source] as const))(
    "describes %s without contradiction",
    (name, source) => {
      expect(findSource(name)).toBe(source);
      expect(source.normalisation.mean).toHaveLength(source.image.channels);
      expect(source.normalisation.std).toHaveLength(source.image.channels);
      expect(source.augmentation.padding).toBe(4);
      expect(source.candidates.some(({ load }) => load !== undefined)).toBe(true);
      expect(new Set(source.classes).size).toBe(source.classes.length);
      for (const { count, histogram, firstLabels } of Object.values(source.splits)) {
        expect(histogram).toHaveLength(source.classes.length);
        expect(histogram.reduce((sum, images) => sum + images, 0)).toBe(count);
        expect(firstLabels.every((label) => label < source.classes.length)).toBe(true);
      }
    },
  );
});

describe("CIFAR-100's classes", () => {
  it("stand in alphabetical order, a hundred of them", () => {
    const { classes } = findSource("CIFAR-100");
    expect(classes).toHaveLength(100);
    expect(classes).toEqual([...classes].sort());
    expect([0, 19, 29, 58, 99].map((label) => classes[label])).toEqual([
      "apple",
      "cattle",
      "dinosaur",
      "pickup_truck",
      "worm",
    ]);
  });
});

describe("what is done to training images", () => {
  it("mirrors photographs and clothes, and no digits", () => {
    const flips = SOURCES.map(({ name, augmentation }) => [name, augmentation.flip]);
    expect(flips).toEqual([
      ["cifar10", true],
      ["cifar100", true],
      ["mnist", false],
      ["fashionmnist", true],
    ]);
  });
});

describe("findSource", () => {
  it("lists the names when none is near", () => {
    expect(() => findSource("zzzzzzzzzzzzzzzzzzzz")).toThrow(
      /^open data set: expected .*cifar10.* for the data set's name/,
    );
    expect(() => findSource("zzzzzzzzzzzzzzzzzzzz")).not.toThrow("did you mean");
  });
});
