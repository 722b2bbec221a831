import { execFileSync } from "node:child_process";
import { mkdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect } from "vitest";
import { it } from "../../../../tests/support/folder.js";
import { UserError } from "../errors.js";
import { makeFolder, refuseUnwritable } from "./folders.js";

/** The message of the UserError that `run` throws. */
function complaint(run: () => void): string {
  try {
    run();
  } catch (error) {
    if (error instanceof UserError) return error.message;
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("makeFolder", () => {
  const made = (path: string) => {
    makeFolder("test", path);
    return statSync(path).isDirectory();
  };

  it("makes all that is missing, and nothing where all is there", ({ folder }) => {
    expect(made(join(folder, "a/b/c"))).toBe(true);
    expect(made(join(folder, "a/b/c"))).toBe(true);
    expect(made(join(folder, "a/b/d/"))).toBe(true);
    expect(made(`${folder}/e/../f`)).toBe(true);
    expect(made("/")).toBe(true);
    expect(made(join(folder, "deep", ...Array.from({ length: 500 }, () => "d")))).toBe(true);
  });

  it("follows links to folders", ({ folder }) => {
    mkdirSync(join(folder, "real"));
    symlinkSync("real", join(folder, "link"));
    expect(made(join(folder, "link"))).toBe(true);
    expect(made(join(folder, "link/below"))).toBe(true);
    expect(statSync(join(folder, "real/below")).isDirectory()).toBe(true);
  });

  it.each(["/proc/x", "/proc/x/y/z", "/proc/self/x", "/sys/x/y", "/dev/null/x", "/dev/null/x/y"])(
    "ends for %s, where nothing can be made",
    (path) => {
      expect(complaint(() => makeFolder("test", path))).toMatch(/^test: expected .* for "\/.*", received .*; .*\.$/);
    },
  );

  it("names what is in the way", ({ folder }) => {
    writeFileSync(join(folder, "file"), "");
    execFileSync("mkfifo", [join(folder, "pipe")]);
    symlinkSync("nowhere", join(folder, "dangling"));
    symlinkSync("circle", join(folder, "circle"));
    const told = (name: string) => complaint(() => makeFolder("test", join(folder, name)));
    for (const name of ["file", "pipe", "dangling", "circle"]) {
      expect(told(name)).toMatch(/expected a folder for ".*", received something else of that name \(EEXIST\)/);
    }
    for (const name of ["file/x", "pipe/x/y"]) expect(told(name)).toContain("folders all along the path");
    expect(told("dangling/x")).toMatch(/a folder for|a place where a folder can be made/);
    expect(told("circle/x")).toContain("links in a circle");
    expect(told("n".repeat(256))).toContain("a name that the system takes");
    expect(told("n/".repeat(3000))).toContain("a name that the system takes");
  });
});

describe("refuseUnwritable", () => {
  const told = (folder: string, name: string) => complaint(() => refuseUnwritable("test", join(folder, name)));

  it("accepts a file, a link to one, and nothing in a folder that is open", ({ folder }) => {
    writeFileSync(join(folder, "file"), "");
    symlinkSync("file", join(folder, "link"));
    for (const path of [...["file", "link", "new"].map((name) => join(folder, name)), "new-in-the-working-folder"]) {
      expect(() => refuseUnwritable("test", path)).not.toThrow();
    }
  });

  it("refuses all else", ({ folder }) => {
    writeFileSync(join(folder, "file"), "");
    execFileSync("mkfifo", [join(folder, "pipe")]);
    symlinkSync("/dev/null", join(folder, "device"));
    symlinkSync("circle", join(folder, "circle"));
    expect(told(folder, "pipe")).toContain("received a device, pipe or socket");
    expect(told(folder, "device")).toContain("received a device, pipe or socket");
    expect(told(folder, ".")).toContain("received a folder");
    expect(told(folder, "circle")).toContain("links in a circle");
    expect(told(folder, "none/new")).toContain("an existing folder");
    expect(told(folder, "file/new")).toContain("folders all along the path");
    expect(told(folder, "n".repeat(256))).toContain("a name that the system takes");
  });
});
