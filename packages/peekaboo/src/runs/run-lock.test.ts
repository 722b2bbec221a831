import { execFileSync, spawn } from "node:child_process";
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { SPECIAL_FILES } from "../../../../tests/support/special-files.js";
import { RunLock } from "./run-lock.js";

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "peekaboo-lock-"));
  path = join(folder, "run.lock");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const acquire = (beatMs = 10_000) => RunLock.acquire(path, { folder, beatMs });
const holder = (): Record<string, unknown> => JSON.parse(readFileSync(path, "utf8"));

it("is one process's at a time, and free again once it is released", async () => {
  const lock = await acquire();
  await expect(acquire()).rejects.toThrow(
    new RegExp(`in use by process ${process.pid} on ${hostname()} since \\d{4}-.*; wait for its end`),
  );
  lock.release();
  expect(readdirSync(folder)).toEqual([]);
  (await acquire()).release();
});

it("is not held by a process that was killed, nor by another one with its number", async () => {
  const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" });
  const { pid } = child;
  (await acquire()).release();
  const lock = await acquire();
  const own = holder();
  lock.release();
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const began = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  writeFileSync(path, JSON.stringify({ ...own, pid, began }));
  await expect(acquire()).rejects.toThrow(`in use by process ${pid}`);
  writeFileSync(path, JSON.stringify({ ...own, pid, began: "1" }));
  (await acquire()).release();
  writeFileSync(path, JSON.stringify({ ...own, pid, began }));
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await gone;
  (await acquire()).release();
  expect(existsSync(path)).toBe(false);
});

it("is another machine's as long as it is touched, and nobody's after", async () => {
  const lock = await acquire();
  const elsewhere = JSON.stringify({ ...holder(), host: "elsewhere", place: "elsewhere" });
  lock.release();
  writeFileSync(path, elsewhere);
  await expect(acquire()).rejects.toThrow("on elsewhere since");
  const long = new Date(Date.now() - 3_600_000);
  utimesSync(path, long, long);
  const touching = setInterval(() => utimesSync(path, new Date(Date.now() - 3_000_000), new Date(0)), 20);
  await expect(acquire(50)).rejects.toThrow("on elsewhere since");
  clearInterval(touching);
  utimesSync(path, long, long);
  (await acquire(50)).release();
});

it.each(Object.keys(SPECIAL_FILES))("refuses %s in its place, and leaves it there", async (kind) => {
  SPECIAL_FILES[kind]?.(path);
  await expect(acquire()).rejects.toThrow(
    /^train: .*run\.lock", received .*; if no other process uses the folder, remove what is there\.$/,
  );
  expect(readdirSync(folder)).toEqual(["run.lock"]);
});

it("refuses what is too large for a lock, and takes one whose text is none for another's", async () => {
  writeFileSync(path, "");
  truncateSync(path, 2 ** 40);
  await expect(acquire()).rejects.toThrow("a file of at most 65536 bytes");
  writeFileSync(path, "[".repeat(60_000));
  await expect(acquire()).rejects.toThrow("in use by another process");
});

it("shows nothing of a holder's name as it is", async () => {
  (await acquire()).release();
  const lock = await acquire();
  const own = holder();
  lock.release();
  writeFileSync(path, JSON.stringify({ ...own, host: "\u001b]0;owned\u0007", place: "elsewhere" }));
  await expect(acquire()).rejects.toThrow("on \\u001b]0;owned\\u0007 since");
});

it("lets go though a pipe took its place", async () => {
  const lock = await acquire();
  rmSync(path);
  execFileSync("mkfifo", [path]);
  lock.release();
  expect(readdirSync(folder)).toEqual(["run.lock"]);
});

it("does not take away a lock that is no longer its own", async () => {
  const lock = await acquire();
  writeFileSync(path, "another's");
  lock.release();
  expect(readFileSync(path, "utf8")).toBe("another's");
});
