// The packages as npm would publish them, installed into a folder that knows nothing of this repository, and used there.
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { extract } from "tar";
import { beforeAll, describe, expect, it } from "vitest";
import { sharedFolder } from "./support/folder.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = sharedFolder();
const PACKAGES = ["files", "pth", "seed", "runtime", "torch", "peekaboo"];

interface Manifest {
  name: string;
  bin?: Record<string, string>;
  dependencies?: Record<string, string>;
}

function run(command: string, args: readonly string[], cwd = folder): string {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: "utf8", timeout: 300_000 });
  expect(status, stdout + stderr).toBe(0);
  return stdout;
}

const manifestOf = (name: string): Manifest =>
  JSON.parse(readFileSync(join(root, "packages", name, "package.json"), "utf8")) as Manifest;

/** Unpacks every package, as npm would publish it, where npm would install it. */
function installPacked(): void {
  const told = run("npm", ["pack", "--workspaces", "--json", "--pack-destination", folder], root);
  for (const { name, filename } of Object.values(
    JSON.parse(told) as Record<string, { name: string; filename: string }>,
  )) {
    const place = join(folder, "node_modules", name);
    mkdirSync(place, { recursive: true });
    extract({ file: join(folder, filename), cwd: place, strip: 1, sync: true });
  }
}

beforeAll(() => {
  installPacked();
  // What they depend on is taken from here, by a link each; what they don't declare isn't there. Not by npm, whose version 9
  // would build what a link leads to.
  const others = PACKAGES.flatMap((name) => Object.keys(manifestOf(name).dependencies ?? {}));
  for (const name of new Set([...others, "@types/node"])) {
    if (name.startsWith("@peekaboo/")) continue;
    mkdirSync(dirname(join(folder, "node_modules", name)), { recursive: true });
    symlinkSync(join(root, "node_modules", name), join(folder, "node_modules", name));
  }
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }));
  // The native libraries take minutes to compile, and are those of this repository.
  for (const [name, place] of [
    ["torch", "@peekaboo/torch"],
    ["peekaboo", "peekaboo"],
  ] as const) {
    symlinkSync(join(root, "packages", name, "build"), join(folder, "node_modules", place, "build"));
  }
  cpSync(join(root, "tests/outside"), folder, { recursive: true });
  const readme = readFileSync(join(root, "README.md"), "utf8");
  const [, example = ""] = /^```ts\n(.*?)^```$/ms.exec(readme) ?? [];
  writeFileSync(join(folder, "readme.ts"), example);
}, 300_000);

describe("outside the repository", () => {
  it("a strict program compiles against the packages, their declarations checked, too", () => {
    expect(run(join(root, "node_modules/.bin/tsc"), ["-p", "."])).toBe("");
  });

  it("README's own network is pruned, trained, saved, and predicts from its file", () => {
    const lines = run(process.execPath, ["readme.js"]).trim().split("\n");
    expect(lines).toEqual([
      expect.stringMatching(/^[\d.]+ % of 1000 images are right$/),
      expect.stringMatching(/^\d+ bytes say of the first image: \w+, \d+ %$/),
    ]);
    expect(Number.parseFloat(lines[0] ?? "")).toBeGreaterThan(15); // Chance gives 10.
    expect(Number.parseFloat(lines[1] ?? "")).toBeLessThan(4000);
  });

  it("adds a pruner, an architecture and a reporter, and follows a training epoch by epoch", () => {
    const result = JSON.parse(run(process.execPath, ["program.js"])) as Record<string, unknown>;
    expect(result).toEqual({
      kept: 120,
      total: 240,
      epochs: [1, 2, 3],
      accuracy: 100,
      saved: expect.arrayContaining(["0.weight", "5.weight", "mask.0.weight"]),
      live: 0,
      heard: ["epoch 6", "test 9", "epoch 0: 9 images"],
    });
  });

  it("has the command line, and nothing beside what the packages export", () => {
    const command = join("node_modules/peekaboo", manifestOf("peekaboo").bin?.peekaboo ?? "");
    expect(run(process.execPath, [command, "models", "ResNet20"])).toContain("ResNet20: 3×32×32 images, 10 classes");
    const { status, stderr } = spawnSync(
      process.execPath,
      ["--input-type=module", "-e", 'import "peekaboo/dist/cli/main.js"'],
      { cwd: folder, encoding: "utf8" },
    );
    expect([status, /ERR_PACKAGE_PATH_NOT_EXPORTED/.test(stderr)]).toEqual([1, true]);
  });

  it("has the board's copy of the page that runs networks, where it was built, without images of data sets", () => {
    const inPackage = (path: string) => existsSync(join(folder, "node_modules/peekaboo/static/predict", path));
    expect(inPackage("index.html")).toBe(existsSync(join(root, "packages/peekaboo/static/predict/index.html")));
    expect(inPackage("samples")).toBe(false);
  });
});
