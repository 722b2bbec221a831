import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { SPECIAL_FILES } from "../../../../tests/support/special-files.js";
import { withLock } from "./lock.js";

let folder: string;
let lock: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "peekaboo-lock-"));
  lock = join(folder, "lock");
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

describe("withLock", () => {
  it("runs actions one after the other and tells who waits", async () => {
    const events: string[] = [];
    const locked = (name: string) =>
      withLock(lock, { onWait: () => events.push(`${name} waits`) }, async () => {
        events.push(`${name} begins`);
        await new Promise((resolve) => setTimeout(resolve, 20));
        events.push(`${name} ends`);
      });
    await Promise.all([locked("a"), locked("b")]);
    expect(events).toEqual(["a begins", "b waits", "a ends", "b begins", "b ends"]);
    expect(existsSync(lock)).toBe(false);
  });

  it("lets go when the action fails", async () => {
    const failing = withLock(lock, { onWait: () => {} }, async () => Promise.reject(new Error("broken")));
    await expect(failing).rejects.toThrow("broken");
    expect(existsSync(lock)).toBe(false);
  });

  it("breaks the lock of a process that is gone", async () => {
    const { pid } = spawnSync(process.execPath, ["--version"]);
    const own = await withLock(lock, { onWait: () => {} }, async () => JSON.parse(readFileSync(lock, "utf8")));
    writeFileSync(lock, JSON.stringify({ ...own, pid }));
    const waits: string[] = [];
    expect(await withLock(lock, { onWait: () => waits.push("waits") }, async () => 7)).toBe(7);
    expect(waits).toEqual([]);
  });

  it.each(Object.keys(SPECIAL_FILES))("refuses %s in its place, and leaves it there", async (kind) => {
    SPECIAL_FILES[kind]?.(lock);
    const refused = withLock(lock, { onWait: () => {} }, async () => 7);
    await expect(refused).rejects.toThrow(
      /^store data: .*; if no other process uses the folder, remove what is there\.$/,
    );
    expect(readdirSync(folder)).toEqual(["lock"]);
  });

  it("breaks a lock of another machine that nobody has touched for a minute, and no younger one", async () => {
    writeFileSync(lock, "elsewhere\n1");
    const controller = new AbortController();
    const young = withLock(lock, { signal: controller.signal, onWait: () => controller.abort() }, async () => 7);
    await expect(young).rejects.toThrow("aborted");
    const old = new Date(Date.now() - 61_000);
    utimesSync(lock, old, old);
    const waits: string[] = [];
    expect(await withLock(lock, { onWait: () => waits.push("waits"), beatMs: 20 }, async () => 7)).toBe(7);
    expect(waits).toEqual(["waits"]);
  });
});
