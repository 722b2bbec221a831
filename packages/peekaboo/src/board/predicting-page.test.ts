import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { it } from "../../../../tests/support/folder.js";
import { PredictingPage } from "./predicting-page.js";

it("gives the files of its folder alone, and no links that lead out of it", ({ folder }) => {
  const built = join(folder, "built");
  mkdirSync(join(built, "assets"), { recursive: true });
  writeFileSync(join(built, "index.html"), "<p>page");
  writeFileSync(join(built, "assets/worker-1.js"), "1");
  writeFileSync(join(built, "assets/notes.txt"), "of no kind that a page has");
  writeFileSync(join(folder, "secret.js"), "secret");
  symlinkSync(join(folder, "secret.js"), join(built, "assets/link.js"));
  symlinkSync(folder, join(built, "out"));
  const page = new PredictingPage(built);
  expect(page.file("")).toEqual({ type: "text/html; charset=utf-8", bytes: Buffer.from("<p>page") });
  expect(page.file("assets/worker-1.js")).toEqual({ type: "text/javascript; charset=utf-8", bytes: Buffer.from("1") });
  for (const path of [
    "../secret.js",
    "assets/../../secret.js",
    "assets/%2e%2e/%2e%2e/secret.js",
    "assets\\..\\..\\secret.js",
    "assets/link.js",
    "out/secret.js",
    "assets/notes.txt",
    "assets",
    "/etc/passwd",
    join(folder, "secret.js"),
    "__proto__",
    "assets/worker-1.js\0",
  ])
    expect(page.file(path), path).toBeNull();
});

it("isn't there before it is built, and is found afterwards, also under other names", ({ folder }) => {
  const built = join(folder, "built");
  const page = new PredictingPage(built);
  expect(page.file("")).toBeNull();
  expect(page.file("assets/one.js")).toBeNull();
  mkdirSync(built);
  for (const name of ["one", "two"]) {
    writeFileSync(join(built, "index.html"), name);
    writeFileSync(join(built, `${name}.js`), name);
    expect(String(page.file("")?.bytes)).toBe(name);
    expect(String(page.file(`${name}.js`)?.bytes)).toBe(name);
    rmSync(join(built, `${name}.js`));
    expect(page.file(`${name}.js`)).toBeNull();
  }
});
