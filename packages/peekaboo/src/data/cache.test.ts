import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { readSafetensors, writeSafetensors } from "@peekaboo/files";
import { UserError } from "@peekaboo/files/errors";
import { describe, expect } from "vitest";
import { tinyArrays, tinySource } from "../../../../tests/support/data.js";
import { it } from "../../../../tests/support/folder.js";
import { cachePath, dataFolder, readCache, writeCache } from "./cache.js";
import type { DatasetSource } from "./source.js";

const source = tinySource([]);
const { sha256: _train, ...train } = source.splits.train;
const { sha256: _test, ...test } = source.splits.test;
/** The same data set where no checksum is known beforehand. */
const unpinned: DatasetSource = { ...source, splits: { train, test } };

let path: string;
it.beforeEach(({ folder }) => {
  path = cachePath(folder, source);
});

describe("dataFolder", () => {
  it("is PEEKABOO_DATA, else in the XDG cache, else in ~/.cache", () => {
    expect(dataFolder({ PEEKABOO_DATA: "data", XDG_CACHE_HOME: "/cache" })).toBe("data");
    expect(dataFolder({ PEEKABOO_DATA: "", XDG_CACHE_HOME: "/cache" })).toBe("/cache/peekaboo");
    expect(dataFolder({ XDG_CACHE_HOME: "relative" })).toBe(join(homedir(), ".cache/peekaboo"));
    expect(dataFolder({})).toBe(join(homedir(), ".cache/peekaboo"));
  });
});

describe("readCache", () => {
  it("returns what writeCache was given", () => {
    writeCache(path, source, tinyArrays);
    expect(readCache(path, source)).toEqual(tinyArrays);
  });

  it("finds the shapes in the file as documented", () => {
    writeCache(path, source, tinyArrays);
    const { tensors } = readSafetensors(path);
    expect([...tensors].map(([name, { dtype, shape }]) => [name, dtype, ...shape])).toEqual([
      ["train.images", "U8", 6, 2, 2, 3],
      ["train.labels", "U8", 6],
      ["test.images", "U8", 3, 2, 2, 3],
      ["test.labels", "U8", 3],
    ]);
  });

  it.each([
    ["with", source],
    ["without", unpinned],
  ])("notices a flipped bit in any byte %s checksums known beforehand", (_, known) => {
    writeCache(path, known, tinyArrays);
    const whole = readFileSync(path);
    for (const [index, byte] of whole.entries()) {
      const flipped = Buffer.from(whole);
      flipped[index] = byte ^ (1 << (index % 8));
      writeFileSync(path, flipped);
      expect(() => readCache(path, known), `byte ${index}`).toThrow(UserError);
    }
  });

  it("notices a file cut off anywhere, or longer than it was", () => {
    writeCache(path, source, tinyArrays);
    const whole = readFileSync(path);
    writeFileSync(path, Buffer.concat([whole, Buffer.alloc(1)]));
    expect(() => readCache(path, source)).toThrow(UserError);
    for (let length = whole.length - 1; length >= 0; length--) {
      truncateSync(path, length);
      expect(() => readCache(path, source), `${length} bytes`).toThrow(UserError);
    }
  });

  it("names the file and says how to fetch it again", () => {
    writeFileSync(path, "rubbish");
    expect(() => readCache(path, source)).toThrow(`for "${path}", received a damaged file (`);
    expect(() => readCache(path, source)).toThrow("; run `peekaboo data tiny` to fetch it again.");
  });

  it("refuses a label that is no class, though the file's own checksums agree", () => {
    const labels = Uint8Array.of(1, 0, 2, 2, 1, 200);
    writeCache(path, unpinned, { ...tinyArrays, train: { ...tinyArrays.train, labels } });
    const message = "expected a class in 0…2 for label 5 of the train split, received 200";
    expect(() => readCache(path, unpinned)).toThrow(message);
  });

  it("refuses other images, though the file's own checksums agree", () => {
    const images = Uint8Array.from(tinyArrays.test.images).reverse();
    writeCache(path, source, { ...tinyArrays, test: { ...tinyArrays.test, images } });
    expect(() => readCache(path, source)).toThrow(/for metadata \\?"test.images.sha256\\?"/);
  });

  it("refuses the file of another data set, dtype or shape", () => {
    writeCache(path, { ...source, name: "other" }, tinyArrays);
    expect(() => readCache(path, source)).toThrow('expected "tiny" for metadata "dataset", received "other"');
    const tensor = (shape: number[], data: Uint8Array) => ({ dtype: "U8" as const, shape, data });
    writeSafetensors(path, [["train.images", tensor([6, 12], tinyArrays.train.images)]]);
    expect(() => readCache(path, source)).toThrow(
      "expected U8 [6, 2, 2, 3] for tensor train.images, received U8 [6, 12]",
    );
    writeSafetensors(path, []);
    expect(() => readCache(path, source)).toThrow("for tensor train.images, received none");
  });

  it("doesn't call a file damaged that merely can't be read", () => {
    expect(() => readCache(path, source)).toThrow(`expected an existing file for "${path}"`);
    expect(() => readCache(path, source)).not.toThrow("damaged");
  });
});
