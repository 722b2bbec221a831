import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, vi } from "vitest";
import { it } from "../../../../../tests/support/folder.js";
import { writeFiles } from "../../../../../tests/support/images.js";
import { imagePath, scanImageFolder } from "./scan.js";

/** A folder of this name is gone once its entries have been read. */
const VANISHING = "vanishing";
vi.mock("node:fs/promises", async (load) => {
  const real = await load<typeof import("node:fs/promises")>();
  const realpath = (path: string) =>
    path.endsWith(VANISHING)
      ? Promise.reject(Object.assign(new Error("ENOENT: no such file"), { code: "ENOENT" }))
      : real.realpath(path);
  return { ...real, realpath };
});

/** Empty files: a scan looks at names alone. */
const touch = (folder: string, ...names: string[]) =>
  writeFiles(folder, Object.fromEntries(names.map((name) => [name, new Uint8Array()])));
const touchVal = (folder: string, ...classes: string[]) => touch(folder, ...classes.map((name) => `val/${name}/0.png`));

describe("scanImageFolder", () => {
  it("numbers classes and images in code point order", async ({ folder }) => {
    // In UTF-16 units 😀 would come before ﬁ (U+FB01).
    await touch(folder, "train/😀/1.jpg", "train/ﬁ/1.jpg", "train/b/1.jpg", "train/Z/1.jpg", "train/a/1.jpg");
    await touch(
      folder,
      "train/b/10.jpg",
      "train/b/2.jpg",
      "train/b/B.jpg",
      "train/b/é.jpg",
      "train/b/😀.jpg",
      "train/b/ﬁ.jpg",
    );
    await touchVal(folder, "Z", "a", "b", "ﬁ", "😀");
    const { classes, train, val } = await scanImageFolder(folder);
    expect(classes).toEqual(["Z", "a", "b", "ﬁ", "😀"]);
    const b = ["1.jpg", "10.jpg", "2.jpg", "B.jpg", "é.jpg", "ﬁ.jpg", "😀.jpg"];
    expect(train.names).toEqual(["1.jpg", "1.jpg", ...b, "1.jpg", "1.jpg"]);
    expect([...train.labels]).toEqual([0, 1, ...b.map(() => 2), 3, 4]);
    expect([...val.labels]).toEqual([0, 1, 2, 3, 4]);
  });

  it("takes images by their endings, in any case, and counts what else is there", async ({ folder }) => {
    await touch(
      folder,
      "train/a/1.jpg",
      "train/a/2.JPEG",
      "train/a/3.Png",
      "train/a/4.WEBP",
      "train/a/jpg",
      "train/a/5.gif",
    );
    await touch(folder, "train/a/6.jpg.txt", "train/readme.jpg", "train/a/8.TIF", "train/a/b/9.heic", "val/a/10.Txt");
    await touch(folder, "train/a/7.\u001b]0;x");
    await touchVal(folder, "a");
    const { train, passedOver } = await scanImageFolder(folder);
    expect(train.names).toEqual(["1.jpg", "2.JPEG", "3.Png", "4.WEBP", "5.gif", "8.TIF"]);
    expect(Object.fromEntries(passedOver)).toEqual({
      ".txt": 2,
      ".heic": 1,
      "without an ending": 1,
      ".jpg beside the classes": 1,
      ".\\u001b]0;x": 1,
    });
  });

  it("takes nothing hidden for an image or a class", async ({ folder }) => {
    await touch(
      folder,
      "train/a/1.jpg",
      "train/a/._1.jpg",
      "train/a/.DS_Store",
      "train/a/.ipynb_checkpoints/1-checkpoint.jpg",
    );
    await touch(folder, "train/.ipynb_checkpoints/2.jpg", "train/__MACOSX/a/._1.jpg", "train/a/__MACOSX/3.jpg");
    await touchVal(folder, "a");
    const { classes, train, passedOver } = await scanImageFolder(folder);
    expect([classes, train.names, passedOver.size]).toEqual([["a"], ["1.jpg"], 0]);
  });

  it("reads folders below a class's, sorted by their whole paths", async ({ folder }) => {
    // "-" comes before "/", so sub-1 before sub/deep; and a folder's own images before those below it.
    await touch(folder, "train/a/sub/deep/1.jpg", "train/a/sub-1/1.jpg", "train/a/sub/2.jpg", "train/a/z.jpg");
    await touchVal(folder, "a");
    const { train } = await scanImageFolder(folder);
    expect(train.names).toEqual(["z.jpg", "sub/2.jpg", "sub-1/1.jpg", "sub/deep/1.jpg"]);
  });

  it("gives each image's path", async ({ folder }) => {
    await touch(folder, "train/a/1.jpg", "train/b/sub/2.jpg");
    await touchVal(folder, "a", "b");
    const scan = await scanImageFolder(folder);
    expect(imagePath(scan, "train", 1)).toBe(join(folder, "train", "b", "sub", "2.jpg"));
    expect(imagePath(scan, "val", 0)).toBe(join(folder, "val", "a", "0.png"));
  });

  it("follows links to files and folders, but not in circles", async ({ folder }) => {
    await touch(
      folder,
      "train/a/1.jpg",
      "train/a/in/2.jpg",
      "elsewhere/3.jpg",
      "val/a/0.png",
      "class/4.jpg",
      "val/b/0.png",
    );
    symlinkSync(join(folder, "elsewhere"), join(folder, "train/a/linked"));
    symlinkSync(join(folder, "elsewhere/3.jpg"), join(folder, "train/a/5.jpg"));
    symlinkSync(join(folder, "class"), join(folder, "train/b"));
    symlinkSync("..", join(folder, "train/a/in/up"));
    symlinkSync("../..", join(folder, "train/a/top"));
    symlinkSync(".", join(folder, "train/a/self"));
    const { classes, train } = await scanImageFolder(folder);
    expect(classes).toEqual(["a", "b"]);
    expect(train.names).toEqual(["1.jpg", "5.jpg", "in/2.jpg", "linked/3.jpg", "4.jpg"]);
  });

  it("has each image once, however many links lead to its folder", async ({ folder }) => {
    const names = Array.from({ length: 9 }, (_, i) => `f${i}`);
    await touch(folder, ...names.map((name) => `train/a/${name}/${name}.jpg`), "train/b/0.jpg", "elsewhere/0.jpg");
    await touchVal(folder, "a", "b");
    // From each folder to all others: a million ways without a circle.
    for (const from of names) {
      for (const to of names) symlinkSync(`../${to}`, join(folder, "train/a", from, `to-${to}`));
    }
    // A folder elsewhere has the name of the first link to it, and a class may take another's images.
    symlinkSync("../../elsewhere", join(folder, "train/b/z"));
    symlinkSync("../../elsewhere", join(folder, "train/b/y"));
    symlinkSync("../a/f3", join(folder, "train/b/x"));
    const { train } = await scanImageFolder(folder);
    const own = names.map((name) => `${name}/${name}.jpg`);
    expect(train.names.slice(0, 9)).toEqual(own);
    expect(
      train.names
        .slice(9)
        .map((name) => name.split("/").at(-1))
        .sort(),
    ).toEqual(["0.jpg", "0.jpg", ...names.map((name) => `${name}.jpg`)].sort());
    expect(train.names).toContain("y/0.jpg");
    expect(train.names).toContain("x/f3.jpg");
  });

  it("ends where links double with every step", async ({ folder }) => {
    // In d0 are two links to d1, and so on: 2^30 ways to the last. Linux follows no more than 40 links in one path.
    for (let i = 0; i < 30; i++) {
      await touch(folder, `deep/d${i}/${i}.jpg`);
      for (const name of ["left", "right"]) symlinkSync(`../d${i + 1}`, join(folder, "deep", `d${i}`, name));
    }
    await touch(folder, "deep/d30/30.jpg", "train/a/0.png");
    await touchVal(folder, "a");
    symlinkSync("../../deep/d0", join(folder, "train/a/deep"));
    const { train } = await scanImageFolder(folder);
    expect(train.names).toHaveLength(32);
  });

  it("keeps a link to nothing, which reading will tell of, and passes over what is no file", async ({ folder }) => {
    await touch(folder, "train/a/1.jpg");
    await touchVal(folder, "a");
    symlinkSync("nowhere", join(folder, "train/a/2.jpg"));
    execFileSync("mkfifo", [join(folder, "train/a/3.jpg")]);
    mkdirSync(join(folder, "train/a/4.jpg"));
    expect((await scanImageFolder(folder)).train.names).toEqual(["1.jpg", "2.jpg"]);
  });

  it("names the folder that is missing", async ({ folder }) => {
    await expect(scanImageFolder(folder)).rejects.toThrow(
      `open image folder: expected a folder that can be read for "${join(folder, "train")}", received none.`,
    );
    mkdirSync(join(folder, "train"));
    await expect(scanImageFolder(folder)).rejects.toThrow(
      `expected a folder for each class for "${join(folder, "train")}", received none.`,
    );
    await touch(folder, "train/a/1.jpg");
    await expect(scanImageFolder(folder)).rejects.toThrow(`for "${join(folder, "val")}", received none.`);
  });

  it("says which folder has gone while it was read", async ({ folder }) => {
    await touch(folder, "train/a/0.png", `train/a/${VANISHING}/1.png`);
    await touchVal(folder, "a");
    await expect(scanImageFolder(folder)).rejects.toThrow(
      `open image folder: expected a folder that can be read for "${join(folder, "train/a", VANISHING)}", received none.`,
    );
  });

  it("names the first class that one split lacks, and counts the others", async ({ folder }) => {
    await touch(folder, "train/a/1.jpg", "train/b/1.jpg", "train/c/1.jpg");
    await touchVal(folder, "a");
    await expect(scanImageFolder(folder)).rejects.toThrow(
      `expected a folder, as train has one for "${join(folder, "val", "b")}", received none (nor ones for 1 more classes)`,
    );
    await touchVal(folder, "b", "c", "d");
    await expect(scanImageFolder(folder)).rejects.toThrow(
      `expected a folder, as val has one for "${join(folder, "train", "d")}", received none; train and val need`,
    );
  });

  it("names a class without an image", async ({ folder }) => {
    await touch(folder, "train/a/1.jpg", "train/b/readme.txt");
    await touchVal(folder, "a", "b");
    await expect(scanImageFolder(folder)).rejects.toThrow(`.pnm) for "${join(folder, "train", "b")}", received none.`);
  });

  // Nothing is closed to root.
  it.skipIf(process.getuid?.() === 0)("names a folder that can't be read", async ({ folder }) => {
    await touch(folder, "train/a/1.jpg", "train/b/1.jpg");
    await touchVal(folder, "a", "b");
    chmodSync(join(folder, "train/b"), 0);
    await expect(scanImageFolder(folder)).rejects.toThrow(
      /a folder that can be read for ".*train\/b", received EACCES/,
    );
    chmodSync(join(folder, "train/b"), 0o700);
  });

  it("tells why a folder can't be read", async ({ folder }) => {
    await touch(folder, "train", "val/a/0.jpg");
    await expect(scanImageFolder(folder)).rejects.toThrow(/received ENOTDIR/);
  });
});
