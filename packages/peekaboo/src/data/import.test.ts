import { existsSync, mkdirSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect } from "vitest";
import {
  binaryFiles,
  sheetFiles,
  tarOf,
  tinyArrays,
  tinyBinary,
  tinyPackage,
  tinyRecords,
  tinySource,
  withBinary,
  withSheets,
} from "../../../../tests/support/data.js";
import { it } from "../../../../tests/support/folder.js";
import { cachePath } from "./cache.js";
import { hex, sha256 } from "./checksum.js";
import { openSource } from "./dataset.js";
import { importSource } from "./import.js";
import type { Candidate, DataProgress } from "./source.js";

let data: string;
it.beforeEach(({ folder }) => {
  data = join(folder, "data");
});

/** Formats that are known and nowhere fetched. */
const binary: Candidate = withBinary({ location: "the binary version", files: binaryFiles });
const source = tinySource([binary, withSheets({ location: "the sheets", files: sheetFiles })]);

const one = { path: "one.bin", content: tinyRecords(0, 3) };
const two = { path: "two.bin", content: tinyRecords(3, 6) };
const test = { path: "test.bin", content: tinyRecords(6, 9) };

function saved(folder: string, content: Uint8Array, name = "mine.tgz"): string {
  const file = join(folder, name);
  writeFileSync(file, content);
  return file;
}

/** Imports and tells what had to be done for it. */
async function stagesOf(file: string): Promise<string[]> {
  const stages: string[] = [];
  const onProgress = ({ stage }: DataProgress) => stages.push(stage);
  const { train } = await importSource(source, file, { folder: data, onProgress });
  expect(train.images).toEqual(tinyArrays.train.images);
  return stages;
}

describe("importSource", () => {
  it("takes either format, for good", async ({ folder }) => {
    for (const content of [tinyBinary, await tinyPackage()]) {
      const own = join(folder, `data-${content.length}`);
      const dataset = await importSource(source, saved(folder, content), { folder: own });
      expect(dataset.train.images).toEqual(tinyArrays.train.images);
      expect(dataset.test.labels).toEqual(tinyArrays.test.labels);
      expect(await openSource(source, { folder: own, offline: true })).toEqual(dataset);
    }
  });

  it("takes a folder of unpacked files", async ({ folder }) => {
    const unpacked = join(folder, "unpacked");
    mkdirSync(unpacked);
    for (const { path, content } of [one, two, test]) writeFileSync(join(unpacked, path), content);
    expect(await stagesOf(unpacked)).toEqual(["unpack", "verify", "store"]);
    rmSync(join(unpacked, "two.bin"));
    await expect(importSource(source, unpacked, { folder: data })).rejects.toThrow("received only one.bin, test.bin");
  });

  it("knows an archive again, and unpacks any other", async ({ folder }) => {
    const file = saved(folder, tinyBinary);
    expect(await stagesOf(file)).toEqual(["unpack", "verify", "store"]);
    expect(await stagesOf(file)).toEqual([]);
    expect(await stagesOf(saved(folder, tinyBinary, "copy.tgz"))).toEqual([]);
    expect(await stagesOf(saved(folder, await tinyPackage()))).toEqual(["unpack", "verify", "store"]);
    const altered = Uint8Array.from(tinyRecords(3, 6));
    altered[5] = 99;
    const wrong = saved(folder, tarOf([one, { ...two, content: altered }, test]));
    await expect(importSource(source, wrong, { folder: data })).rejects.toThrow("for the SHA-256 of the train images");
  });

  it("takes an archive anew when what was stored of it is damaged", async ({ folder }) => {
    const file = saved(folder, tinyBinary);
    await stagesOf(file);
    const path = cachePath(data, source);
    const whole = statSync(path).size;
    truncateSync(path, whole - 1);
    expect(await stagesOf(file)).toEqual(["unpack", "verify", "store"]);
    expect(statSync(path).size).toBe(whole);
  });

  it("says what is wrong with an archive, and keeps nothing of it", async ({ folder }) => {
    const taking = (entries: Parameters<typeof tarOf>[0]) =>
      importSource(source, saved(folder, tarOf(entries)), { folder: data });
    await expect(taking([{ path: "x", content: "y" }])).rejects.toThrow(
      "an archive or a folder that holds one.bin and 2 more, or one.png and 4 more",
    );
    await expect(taking([one])).rejects.toThrow("received only one.bin");
    await expect(taking([one, two, { ...test, content: tinyRecords(6, 8) }])).rejects.toThrow(
      `for "${join(folder, "mine.tgz")}", received something else (verify Tiny: expected 3 labels for the test labels, received 2 labels).`,
    );
    const strange = Uint8Array.from(tinyRecords(6, 9));
    strange[0] = 17;
    await expect(taking([one, two, { ...test, content: strange }])).rejects.toThrow(
      "expected a class in 0…2 for label 0 of the test split, received 17",
    );
    await expect(importSource(source, join(folder, "none"), { folder: data })).rejects.toThrow("an existing file");
    expect(existsSync(cachePath(data, source))).toBe(false);
  });

  it("proves the files by their own checksums where the arrays' aren't known", async ({ folder }) => {
    const { sha256: _, ...train } = source.splits.train;
    const unpinned = { ...source, splits: { ...source.splits, train } };
    const proven: Candidate = { ...binary, checksums: { "one.bin": hex("sha256", sha256(one.content)) } };
    const from = (entries: Parameters<typeof tarOf>[0]) =>
      importSource({ ...unpinned, candidates: [proven] }, saved(folder, tarOf(entries)), { folder: data });
    const altered = Uint8Array.from(one.content);
    altered[5] = 99;
    await expect(from([{ ...one, content: altered }, two, test])).rejects.toThrow(
      `expected the published file (SHA256 ${sha256(one.content)}) for one.bin of "${join(folder, "mine.tgz")}", received another (SHA256 ${sha256(altered)})`,
    );
    expect((await from([one, two, test])).train.images).toEqual(tinyArrays.train.images);
  });
});

describe("a candidate that is only imported", () => {
  it("is no place to fetch from", async () => {
    const opening = openSource({ ...source, candidates: [{ ...binary, remedy: "buy it" }] }, { folder: data });
    await expect(opening).rejects.toThrow("or buy it, or give an archive from elsewhere");
  });
});
