import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { awaitLock, lockRun } from "./run-lock.js";

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "peekaboo-run-lock-"));
  path = join(folder, "run.lock");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it("names the process that uses the folder", async () => {
  using _lock = await lockRun(path, { folder });
  const since = "\\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z";
  await expect(lockRun(path, { folder })).rejects.toThrow(
    new RegExp(
      `^train: expected a run folder that no other run is using for "${folder}", received one in use by process ${process.pid} on ${hostname()} since ${since}; wait for its end, choose another folder, or, if it is surely gone, remove "${path}"\\.$`,
    ),
  );
});

it("shows nothing of a holder's name as it is, and says when there is none", async () => {
  const holder = {
    pid: 1,
    host: "\u001b]0;owned\u0007",
    place: "elsewhere",
    began: "1",
    since: "2026-01-01T00:00:00.000Z",
  };
  writeFileSync(path, JSON.stringify(holder));
  await expect(lockRun(path, { folder })).rejects.toThrow("on \\u001b]0;owned\\u0007 since");
  writeFileSync(path, JSON.stringify({ ...holder, since: "\u001b]0;owned\u0007" }));
  await expect(lockRun(path, { folder })).rejects.toThrow("in use by another process;");
});

it("says that the folder can't be written to", async () => {
  rmSync(folder, { recursive: true });
  await expect(lockRun(path, { folder })).rejects.toThrow(
    `train: expected a folder that can be written to for the run folder (\`savedir\` and \`expName\`), received "${folder}" (ENOENT); choose another \`savedir\`, change the permissions, or free some space.`,
  );
});

it("waits for another's end, as long as it has patience", async () => {
  const lock = await lockRun(path, { folder });
  expect(await awaitLock(path, { operation: "train", patience: -1 })).toBeNull();
  let looks = 0;
  const onHeld = () => {
    if (++looks === 2) lock.release();
  };
  using taken = await awaitLock(path, { operation: "train", patience: 60_000, onHeld });
  expect([taken === null, looks]).toEqual([false, 2]);
  const signal = AbortSignal.abort(new Error("stopped"));
  await expect(awaitLock(path, { operation: "train", patience: 60_000, signal })).rejects.toThrow("stopped");
});
