import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect } from "vitest";
import { tarOf } from "../../../../../tests/support/data.js";
import { it } from "../../../../../tests/support/folder.js";
import { readFiles } from "./files.js";

const bytes = (text: string) => new TextEncoder().encode(text);

/** The two ways in which the files can be given. */
const ways = {
  archive(folder: string, files: Record<string, Uint8Array>): string {
    const file = join(folder, "archive.tgz");
    writeFileSync(file, tarOf(Object.entries(files).map(([path, content]) => ({ path: `deep/${path}`, content }))));
    return file;
  },
  folder(folder: string, files: Record<string, Uint8Array>): string {
    const unpacked = join(folder, "unpacked");
    mkdirSync(unpacked);
    for (const [name, content] of Object.entries(files)) writeFileSync(join(unpacked, name), content);
    return unpacked;
  },
};

describe.each(Object.entries(ways))("readFiles of an %s", (_, given) => {
  const limits = { a: 5, b: 3, missing: 9 };
  const read = (folder: string, files: Record<string, Uint8Array>) => readFiles(given(folder, files), limits);

  it("finds the wanted files, gzipped or not, and nothing else", async ({ folder }) => {
    const files = await read(folder, { a: bytes("plain"), "b.gz": gzipSync("zip"), other: bytes("other") });
    expect([...files].map(([name, content]) => [name, Buffer.from(content).toString()])).toEqual([
      ["a", "plain"],
      ["b", "zip"],
    ]);
  });

  it("prefers a file to its gzipped twin", async ({ folder }) => {
    const files = await read(folder, { "a.gz": gzipSync("old"), a: bytes("new") });
    expect(Buffer.from(files.get("a") ?? []).toString()).toBe("new");
  });

  it("refuses a file over its limit", async ({ folder }) => {
    await expect(read(folder, { b: bytes("long") })).rejects.toThrow("at most 3 bytes");
  });

  it("refuses what would unzip to more than its limit", async ({ folder }) => {
    expect((await read(folder, { "b.gz": gzipSync("abc") })).get("b")).toHaveLength(3);
    rmSync(join(folder, "unpacked"), { recursive: true, force: true });
    await expect(read(folder, { "b.gz": gzipSync("abcd") })).rejects.toThrow(
      /gzip data of at most 3 bytes for .*b\.gz.* more/,
    );
  });

  it.for([
    ["cut off", gzipSync("zip").subarray(0, -1)],
    ["no gzip data", bytes("zip")],
    ["empty", new Uint8Array()],
  ] as const)("refuses a gzipped file that is %s", async ([_what, content], { folder }) => {
    await expect(read(folder, { "b.gz": content })).rejects.toThrow("unzip: expected whole gzip data");
  });
});

describe("readFiles", () => {
  it("passes over folders that are called like a wanted file", async ({ folder }) => {
    mkdirSync(join(folder, "a"));
    expect(await readFiles(folder, { a: 5 })).toEqual(new Map());
  });

  it("refuses a path where nothing is", async ({ folder }) => {
    writeFileSync(join(folder, "file"), "");
    await expect(readFiles(join(folder, "none"), { a: 5 })).rejects.toThrow("an existing file");
    await expect(readFiles(join(folder, "file/none"), { a: 5 })).rejects.toThrow("folders all along the path");
  });
});
