import { rmSync } from "node:fs";
import { expect } from "vitest";
import { it } from "../../../../../tests/support/folder.js";
import { writeFiles } from "../../../../../tests/support/images.js";
import { fingerprints } from "./fingerprint.js";
import { scanImageFolder } from "./scan.js";

it("changes with a name, a size and a class of its own split, and with nothing else", async ({ folder }) => {
  const files = {
    "train/a/1.jpg": Buffer.from("12"),
    "train/b/1.jpg": Buffer.from("1"),
    "val/a/1.jpg": Buffer.from(""),
  };
  const sums = async (more: Record<string, Uint8Array>) => {
    rmSync(folder, { recursive: true });
    await writeFiles(folder, { ...files, "val/b/1.jpg": Buffer.from(""), ...more });
    return fingerprints(await scanImageFolder(folder));
  };
  const before = await sums({});
  expect(Object.keys(before)).toEqual(["train.files.sha256", "val.files.sha256"]);
  expect(before["train.files.sha256"]).toMatch(/^[0-9a-f]{64}$/);
  expect(await sums({ "train/a/1.jpg": Buffer.from("34") })).toEqual(before);
  for (const more of [{ "train/a/1.jpg": Buffer.from("123") }, { "train/a/2.jpg": Buffer.from("12") }]) {
    const after = await sums(more);
    expect(after["train.files.sha256"]).not.toBe(before["train.files.sha256"]);
    expect(after["val.files.sha256"]).toBe(before["val.files.sha256"]);
  }
});
