import sharp from "sharp";
import { expect, it } from "vitest";
import { formatOf, IMAGE_ENDINGS, isImageName } from "./formats.js";

it("names all that the installed sharp decodes, and torchvision's", () => {
  const decoded = Object.entries(sharp.format)
    .filter(([name, { input }]) => input.buffer && name !== "raw")
    .flatMap(([, { input }]) => ("fileSuffix" in input ? (input.fileSuffix as string[]) : []));
  const torchvision = [".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"];
  expect(decoded.length).toBeGreaterThan(8);
  expect(IMAGE_ENDINGS).toEqual(expect.arrayContaining([...decoded, ...torchvision]));
});

it("knows names in any case, by their endings alone", () => {
  expect(["a.JPG", "b.Tiff", "c.svg.GZ", ".bmp.avif"].map(isImageName)).toEqual([true, true, true, true]);
  expect(["jpg", "a.jpg.txt", "a.heic", "a.jpgx", "axjpg", "a.gz", ""].some(isImageName)).toBe(false);
});

it.each([
  ["<svg>", "svg"],
  ['\ufeff<?xml version="1.0"?>\n<!-- a > b -->\n<!DOCTYPE svg PUBLIC "a" "b">\n<svg\n width="1">', "svg"],
  ["<svg:svg xmlns:svg='x'>", "svg"],
  ["<html><svg>", undefined],
  ["<svgx>", undefined],
  [`${" ".repeat(5000)}<svg>`, undefined],
  ["BM6", "bmp"],
  ["P7\n", undefined],
  ["P6\n", "netpbm"],
  ["%PDF-1.7", undefined],
  ["", undefined],
])("tells the format of %j", (text, format) => {
  expect(formatOf(Buffer.from(text))).toBe(format);
});
