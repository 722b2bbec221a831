import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, test } from "vitest";

function make(): string {
  return mkdtempSync(join(realpathSync(tmpdir()), "peekaboo-test-"));
}

function remove(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
}

/** Vitest's `it`, with a new, empty `folder` for each test that asks for it, removed when the test and its hooks have run. */
export const it = test.extend("folder", ({ onTestFinished }) => {
  const folder = make();
  onTestFinished(() => remove(folder));
  return folder;
});

/** A new, empty folder for all tests of a file, or of the `describe` that asks for it; removed after the last. */
export function sharedFolder(): string {
  const folder = make();
  afterAll(() => remove(folder));
  return folder;
}
