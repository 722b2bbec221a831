import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { it } from "../../../../tests/support/folder.js";
import { findRuns } from "./find-runs.js";
import { makeRun } from "./runs.support.js";

it("finds the runs at every depth but the deepest, by their names seen from the folder", ({ folder }) => {
  for (const name of ["b", "a/x", "a", "1/2/3/4/5", "1/2/3/4/5/6", ".hidden/y"]) makeRun(folder, name, []);
  mkdirSync(join(folder, "empty"));
  symlinkSync(folder, join(folder, "round"));
  expect(findRuns(folder).map(({ name }) => name)).toEqual(["a", "b", "a/x", "1/2/3/4/5"]);
  expect(findRuns(join(folder, "b"))).toEqual([{ name: "b", path: join(folder, "b") }]);
  expect(findRuns(join(folder, "none"))).toEqual([]);
});
