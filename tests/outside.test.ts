// The packages as npm would publish them, installed into a folder that knows nothing of this repository, and used there.
import { spawnSync } from "node:child_process";
import { cpSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { sharedFolder } from "./support/folder.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = sharedFolder();
const PACKAGES = ["files", "pth", "seed", "runtime", "torch", "peekaboo"];

interface Manifest {
  name: string;
  dependencies?: Record<string, string>;
}

function run(command: string, args: readonly string[], cwd = folder): string {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: "utf8", timeout: 300_000 });
  expect(status, stdout + stderr).toBe(0);
  return stdout;
}

const manifestOf = (name: string): Manifest =>
  JSON.parse(readFileSync(join(root, "packages", name, "package.json"), "utf8")) as Manifest;

/** Packs every package; their file names by package. */
function packed(): Record<string, string> {
  const told = run("npm", ["pack", "--workspaces", "--json", "--pack-destination", folder], root);
  const entries = Object.values(JSON.parse(told) as Record<string, { name: string; filename: string }>);
  return Object.fromEntries(entries.map(({ name, filename }) => [name, `file:${filename}`]));
}

beforeAll(() => {
  // What they depend on is taken from here, by a link each, so that npm needs no network; what they don't declare isn't there.
  const others = PACKAGES.flatMap((name) => Object.keys(manifestOf(name).dependencies ?? {}))
    .concat("@types/node")
    .filter((name) => !name.startsWith("@peekaboo/"));
  const dependencies = {
    ...Object.fromEntries(others.map((name) => [name, `file:${join(root, "node_modules", name)}`])),
    ...packed(),
  };
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, type: "module", dependencies }));
  // Without install scripts: the native libraries take minutes to compile, and are those of this repository.
  // npm 9 would pack what a link leads to, and build it for that.
  run("npm", ["install", "--offline", "--ignore-scripts", "--install-links=false", "--no-audit", "--no-fund"]);
  for (const [name, place] of [
    ["torch", "@peekaboo/torch"],
    ["peekaboo", "peekaboo"],
  ] as const) {
    symlinkSync(join(root, "packages", name, "build"), join(folder, "node_modules", place, "build"));
  }
  cpSync(join(root, "tests/outside"), folder, { recursive: true });
}, 300_000);

describe("outside the repository", () => {
  it("a strict program compiles against the packages, their declarations checked, too", () => {
    expect(run(join(root, "node_modules/.bin/tsc"), ["-p", "."])).toBe("");
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
    expect(run("node_modules/.bin/peekaboo", ["models", "ResNet20"])).toContain("ResNet20: 3×32×32 images, 10 classes");
    const { status, stderr } = spawnSync(
      process.execPath,
      ["--input-type=module", "-e", 'import "peekaboo/dist/cli/main.js"'],
      { cwd: folder, encoding: "utf8" },
    );
    expect([status, /ERR_PACKAGE_PATH_NOT_EXPORTED/.test(stderr)]).toEqual([1, true]);
  });
});
