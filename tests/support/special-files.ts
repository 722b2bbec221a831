import { execFileSync } from "node:child_process";
import { mkdirSync, symlinkSync } from "node:fs";
import { basename } from "node:path";

/** Makes what is no file at a path, by what it is. */
export const SPECIAL_FILES: Readonly<Record<string, (path: string) => void>> = {
  "a folder": (path) => mkdirSync(path),
  "a pipe": (path) => void execFileSync("mkfifo", [path]),
  "a device": (path) => symlinkSync("/dev/zero", path),
  "a link to nothing": (path) => symlinkSync("nowhere", path),
  "a link in a circle": (path) => symlinkSync(basename(path), path),
};
