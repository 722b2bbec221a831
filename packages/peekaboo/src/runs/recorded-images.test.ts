import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "@peekaboo/files/errors";
import { afterEach, describe, expect } from "vitest";
import { it } from "../../../../tests/support/folder.js";
import { parseConfig } from "../config/config.js";
import { findImageFolder, type RecordedImages, refuseOtherImages } from "./recorded-images.js";

const recorded = (over: Partial<RecordedImages> = {}): RecordedImages => ({
  path: "best.safetensors",
  config: parseConfig({ dataset: "imagefolder", data: "images" }),
  numClasses: 3,
  classes: ["ant", "bee", "cat"],
  imageShape: [3, 32, 32],
  folder: null,
  ...over,
});
const images = (classes: string[], imageShape: [1 | 3, number, number] = [3, 32, 32]) => ({
  title: "the images of x",
  classes,
  imageShape,
});
const how = { operation: "evaluate" };

describe("images for a network that was trained on others", () => {
  it.each([
    [["ant"], 'images of its 3 classes (among them "bee", "cat")', '1 class ("ant") in the images of x'],
    [["ant", "bee", "dog"], '(among them "cat")', '3 classes (among them "dog")'],
    [["cat", "bee", "ant"], '("ant", "bee", "cat")', '("cat", "bee", "ant")'],
    [["ant", "bee", "cat", "dog"], "3 classes", '4 classes (among them "dog")'],
  ])("are refused for their classes %j", (classes, expected, received) => {
    const checking = () => refuseOtherImages(recorded(), images(classes), how);
    expect(checking).toThrow(UserError);
    expect(checking).toThrow(expected);
    expect(checking).toThrow(received);
  });

  it("are refused for their channels and size, with the flag that helps", () => {
    const classes = ["ant", "bee", "cat"];
    expect(() => refuseOtherImages(recorded(), images(classes, [3, 224, 224]), how)).toThrow(
      /images of 3×32×32, as it was trained on .* received 3×224×224; give `imageSize` 32/,
    );
    const grey = recorded({ imageShape: [1, 28, 28] });
    expect(() => refuseOtherImages(grey, images(classes, [3, 28, 28]), how)).toThrow("give `grey` single");
  });

  it("are taken where all is alike; by the number alone where an earlier version's file tells no names", () => {
    refuseOtherImages(recorded(), images(["ant", "bee", "cat"]), how);
    refuseOtherImages(recorded({ classes: null }), images(["x", "y", "z"]), how);
    expect(() => refuseOtherImages(recorded({ classes: null }), images(["x"]), how)).toThrow(UserError);
  });

  it("of a data set with a name are known by that", () => {
    const mnist = recorded({
      config: parseConfig({ dataset: "mnist" }),
      numClasses: 10,
      classes: null,
      imageShape: [3, 28, 28],
    });
    const fashion = Array.from({ length: 10 }, (_, i) => `garment ${i}`);
    expect(() => refuseOtherImages(mnist, images(fashion, [3, 28, 28]), how)).toThrow(
      'received 10 classes ("garment 0"',
    );
  });

  it("may have other names and sizes where the network is only pruned", () => {
    const pruned = { operation: "resume", stage: "pruned" } as const;
    refuseOtherImages(recorded(), images(["x", "y", "z"], [3, 64, 64]), pruned);
    expect(() => refuseOtherImages(recorded(), images(["x"]), pruned)).toThrow(UserError);
    expect(() => refuseOtherImages(recorded(), images(["x", "y", "z"], [1, 32, 32]), pruned)).toThrow(UserError);
  });
});

describe("a recorded image folder", () => {
  let base: string;
  let before: string;
  it.beforeEach(({ folder }) => {
    base = folder;
    mkdirSync(join(base, "project/results/run"), { recursive: true });
    mkdirSync(join(base, "elsewhere"));
    before = process.cwd();
    process.chdir(join(base, "elsewhere"));
  });
  afterEach(() => {
    process.chdir(before);
  });
  const find = (folder: string | null = null, data = "images") => {
    const config = parseConfig({ dataset: "imagefolder", data, savedir: "results", expName: "run" });
    return findImageFolder(
      { path: join(base, "project/results/run/best.safetensors"), config, folder },
      "give it by `data`",
    );
  };

  it.each([
    ["here", "elsewhere/images", "images"],
    ["where the run was started", "project/images", "/project/images"],
    ["beside the run's folder", "project/results/images", "/project/results/images"],
    ["in the run's folder", "project/results/run/images", "/project/results/run/images"],
  ])("is found %s", (_, place, found) => {
    mkdirSync(join(base, place));
    expect(find()).toBe(found.startsWith("/") ? base + found : found);
  });

  it("is found where it was, and here first of all", () => {
    mkdirSync(join(base, "far/images"), { recursive: true });
    expect(find(join(base, "far/images"))).toBe(join(base, "far/images"));
    mkdirSync("images");
    expect(find(join(base, "far/images"))).toBe("images");
  });

  it("that is nowhere is refused with all places", () => {
    const finding = () => find(join(base, "far/images"));
    expect(finding).toThrow(UserError);
    for (const place of [
      "elsewhere/images",
      "project/images",
      "project/results/images",
      "project/results/run/images",
      "far/images",
    ]) {
      expect(finding).toThrow(join(base, place));
    }
    expect(finding).toThrow("give it by `data`");
    expect(() => find(null, join(base, "absent"))).toThrow(`a folder at "${join(base, "absent")}" for`);
  });
});
