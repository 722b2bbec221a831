import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { SPECIAL_FILES } from "../../../../tests/support/special-files.js";
import { FileLock, type LockHolder } from "./lock.js";

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "peekaboo-lock-"));
  path = join(folder, "run.lock");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function onHeld(holder: LockHolder | null): void {
  throw new Error(
    holder === null ? "held by another" : `held by ${holder.pid} on ${holder.host} since ${holder.since}`,
  );
}

const acquire = (beatMs = 10_000) => FileLock.acquire(path, { operation: "train", beatMs, onHeld });
const holder = (): Record<string, unknown> => JSON.parse(readFileSync(path, "utf8"));

/** Waits without giving this thread to others. */
const block = (milliseconds: number) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);

/** Makes the lock look untouched for an hour. */
function age(): void {
  const long = new Date(Date.now() - 3_600_000);
  utimesSync(path, long, long);
}

const until = async (condition: () => boolean) => {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 20));
};

/** Starts a process that takes the lock and keeps it. */
function lockElsewhere(module: URL, beatMs: number): ChildProcess {
  const program = `const { FileLock } = await import(process.argv[1]);
    await FileLock.acquire(process.argv[2], { operation: "train", beatMs: ${beatMs}, onHeld() {} });
    setTimeout(() => {}, 60_000);`;
  const flags = ["--input-type=module", "-e", program, module.href, path];
  return spawn(process.execPath, flags, { stdio: "inherit" });
}

const isFresh = () => Date.now() - statSync(path).mtimeMs < 60_000;

it("is one process's at a time, and free again once it is released", async () => {
  const lock = await acquire();
  await expect(acquire()).rejects.toThrow(
    new RegExp(`^held by ${process.pid} on ${hostname()} since \\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z$`),
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
  await expect(acquire()).rejects.toThrow(`held by ${pid} on`);
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
  age();
  const touching = setInterval(() => utimesSync(path, new Date(Date.now() - 3_000_000), new Date(0)), 20);
  await expect(acquire(50)).rejects.toThrow("on elsewhere since");
  clearInterval(touching);
  age();
  (await acquire(50)).release();
});

describe("to whoever only looks", () => {
  it("is held by a process that lives, one that is halted included, and not by one that was killed", async () => {
    expect(FileLock.isHeld(path)).toBe(false);
    const child = lockElsewhere(new URL("../../dist/node/lock.js", import.meta.url), 10_000);
    const gone = once(child, "exit");
    try {
      await until(() => existsSync(path));
      expect(FileLock.isHeld(path)).toBe(true);
      child.kill("SIGSTOP");
      age();
      expect(FileLock.isHeld(path)).toBe(true);
    } finally {
      child.kill("SIGKILL");
    }
    await gone;
    const text = readFileSync(path, "utf8");
    utimesSync(path, new Date(), new Date());
    expect(FileLock.isHeld(path)).toBe(false);
    expect(readFileSync(path, "utf8")).toBe(text);
    expect(readdirSync(folder)).toEqual(["run.lock"]);
  });

  it("is another machine's, or of whom it doesn't say, for a minute after it was touched", async () => {
    const lock = await acquire();
    const elsewhere = JSON.stringify({ ...holder(), pid: 1, host: "elsewhere", place: "elsewhere" });
    lock.release();
    for (const text of [elsewhere, "", "[".repeat(60_000)]) {
      writeFileSync(path, text);
      expect(FileLock.isHeld(path)).toBe(true);
      age();
      expect(FileLock.isHeld(path)).toBe(false);
    }
  });

  it.each(Object.keys(SPECIAL_FILES))("tells without an error or a wait where %s is in its place", (kind) => {
    SPECIAL_FILES[kind]?.(path);
    expect(FileLock.isHeld(path)).toBeTypeOf("boolean");
    expect(FileLock.isHeld(join(path, "below"))).toBe(false);
    expect(readdirSync(folder)).toEqual(["run.lock"]);
  });
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
  await expect(acquire()).rejects.toThrow("held by another");
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

it("is touched while this thread computes, and not once it is released or another's", async () => {
  const lock = await acquire(20);
  const text = readFileSync(path, "utf8");
  for (let beat = 0; beat < 3; beat++) {
    age();
    for (let waited = 0; !isFresh() && waited < 30_000; waited += 20) block(20);
    expect(isFresh()).toBe(true);
  }
  writeFileSync(path, "another's");
  age();
  block(200);
  expect(isFresh()).toBe(false);
  lock.release();

  (await acquire(20)).release();
  writeFileSync(path, text);
  await new Promise((resolve) => setTimeout(resolve, 200));
  age();
  block(200);
  expect(isFresh()).toBe(false);
});

it("is touched by the process itself where there can be no other thread", async () => {
  const copy = join(folder, "copy");
  cpSync(new URL("../../dist", import.meta.url), copy, { recursive: true });
  writeFileSync(join(copy, "package.json"), '{ "type": "module" }');
  rmSync(join(copy, "node/lock-beat.js"));
  const child = lockElsewhere(pathToFileURL(join(copy, "node/lock.js")), 20);
  try {
    await until(() => existsSync(path));
    age();
    await until(isFresh);
  } finally {
    child.kill("SIGKILL");
  }
});
