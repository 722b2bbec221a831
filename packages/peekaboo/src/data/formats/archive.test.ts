import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, truncateSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { describe, expect } from "vitest";
import { type TarEntry, tarOf } from "../../../../../tests/support/data.js";
import { it } from "../../../../../tests/support/folder.js";
import { readArchive } from "./archive.js";

function saved(folder: string, content: Uint8Array): string {
  const file = join(folder, "archive.tgz");
  writeFileSync(file, content);
  return file;
}

const read = (folder: string, entries: readonly TarEntry[], limits: Record<string, number>) =>
  readArchive(saved(folder, tarOf(entries)), limits);
const text = (content: Uint8Array | undefined) => new TextDecoder().decode(content);

describe("readArchive", () => {
  const plain = [
    { path: "data/a.bin", content: "first" },
    { path: "data/other.txt", content: "x".repeat(5000) },
    { path: "b.bin", content: "y".repeat(2000) },
    { path: "data/empty.bin" },
  ];
  const limits = { "a.bin": 5, "b.bin": 2000, "empty.bin": 0, "absent.bin": 9 };

  it.for(["gzipped", "plain"])("reads the wanted files of a %s archive and nothing else", async (kind, { folder }) => {
    const archive = tarOf(plain);
    const files = await readArchive(saved(folder, kind === "plain" ? gunzipSync(archive) : archive), limits);
    expect([...files.keys()]).toEqual(["a.bin", "b.bin", "empty.bin"]);
    expect(text(files.get("a.bin"))).toBe("first");
    expect(text(files.get("b.bin"))).toBe("y".repeat(2000));
    expect(files.get("empty.bin")?.length).toBe(0);
  });

  it("writes nothing, whatever the names in the archive", async ({ folder }) => {
    const files = await read(
      folder,
      [
        { path: "../../escaped.bin", content: "a" },
        { path: "/absolute.bin", content: "b" },
        { path: "__proto__", content: "c" },
      ],
      { "escaped.bin": 9, "absolute.bin": 9 },
    );
    expect([...files.keys()]).toEqual(["escaped.bin", "absolute.bin"]);
    expect(readdirSync(folder)).toEqual(["archive.tgz"]);
    expect(existsSync(join(dirname(folder), "escaped.bin"))).toBe(false);
  });

  it.for(["SymbolicLink", "Link", "Directory", "FIFO"] as const)(
    "refuses a wanted file that is a %s",
    async (type, { folder }) => {
      const entry = { path: "data/a.bin", type, ...(type.endsWith("Link") ? { linkpath: "/etc/passwd" } : {}) };
      await expect(read(folder, [entry], limits)).rejects.toThrow(`a.bin to be a regular file for`);
      await expect(read(folder, [entry], limits)).rejects.toThrow(`received an entry of type ${type}`);
    },
  );

  it("refuses a file over its limit before it takes memory for it", async ({ folder }) => {
    const claim = { path: "a.bin", content: "tiny", size: 2 ** 45 };
    await expect(read(folder, [claim], limits)).rejects.toThrow(`a.bin to have at most 5 bytes`);
    await expect(read(folder, [claim], limits)).rejects.toThrow(`received ${2 ** 45} bytes`);
  });

  it("refuses a second file of the same name", async ({ folder }) => {
    const twice = [
      { path: "one/a.bin", content: "1" },
      { path: "two/a.bin", content: "2" },
    ];
    await expect(read(folder, twice, limits)).rejects.toThrow("one entry called a.bin");
  });

  it("refuses an archive that grows out of proportion", async ({ folder }) => {
    const bomb = [{ path: "filler", content: new Uint8Array(2 ** 24) }, ...plain];
    await expect(read(folder, bomb, limits)).rejects.toThrow("max decompression ratio exceeded");
  });

  it("stops inflating what is mostly padding long before it fills memory", async ({ folder }) => {
    const [header, body] = [
      gunzipSync(tarOf([{ path: "filler", size: 2 ** 29 }])).subarray(0, 512),
      Buffer.alloc(2 ** 20),
    ];
    const bomb = Buffer.concat([gzipSync(header), ...Array<Buffer>(512).fill(gzipSync(body))]);
    const peak = () => process.resourceUsage().maxRSS * 1024;
    const before = peak();
    await expect(readArchive(saved(folder, bomb), limits)).rejects.toThrow("max decompression ratio exceeded");
    expect(peak() - before).toBeLessThan(2 ** 27);
  });

  it("refuses an archive cut off anywhere", async ({ folder }) => {
    const whole = tarOf(plain);
    for (const length of [0, 1, 20, whole.length >> 1, whole.length - 9]) {
      const reading = readArchive(saved(folder, whole.subarray(0, length)), limits);
      await expect(reading, `${length} bytes`).rejects.toThrow("read archive: expected a whole tar archive for");
    }
    const unzipped = gunzipSync(whole).subarray(0, 512 * 9);
    await expect(readArchive(saved(folder, unzipped), limits)).rejects.toThrow("expected a whole tar archive");
  });

  it("waits for no pipe, and reads neither a device nor what only claims to be large", async ({ folder }) => {
    const pipe = join(folder, "pipe");
    execFileSync("mkfifo", [pipe]);
    for (const endless of [pipe, "/dev/zero"]) {
      await expect(readArchive(endless, limits)).rejects.toThrow("received a device, pipe or socket");
    }
    const sparse = saved(folder, new Uint8Array());
    truncateSync(sparse, 2 ** 40);
    await expect(readArchive(sparse, limits)).rejects.toThrow("an archive of at most 67110878 bytes");
  });

  it("refuses a file that is no archive, is missing, or is a folder", async ({ folder }) => {
    await expect(readArchive(saved(folder, new Uint8Array(4096).fill(65)), limits)).rejects.toThrow(
      "a whole tar archive",
    );
    await expect(readArchive(join(folder, "none"), limits)).rejects.toThrow("an existing file");
    await expect(readArchive(folder, limits)).rejects.toThrow("a regular file");
  });
});
