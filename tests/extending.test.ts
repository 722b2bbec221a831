// What docs/extending.md shows is done to a copy of the package, which must then compile and run.
import { spawnSync } from "node:child_process";
import { appendFileSync, cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { sharedFolder } from "./support/folder.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const document = readFileSync(join(root, "docs/extending.md"), "utf8");
const blocks = [...document.matchAll(/^```ts (\S+)( \(one more line\))?\n(.*?)^```$/gms)];
const copy = sharedFolder();

const run = (command: string, ...args: string[]) =>
  spawnSync(command, args, { cwd: copy, encoding: "utf8", timeout: 300_000, env: { ...process.env, CI: "true" } });
const peekaboo = (...args: string[]) => run(process.execPath, "packages/peekaboo/bin/peekaboo.js", ...args);

beforeAll(() => {
  mkdirSync(join(copy, "packages/peekaboo"), { recursive: true });
  for (const name of [
    "node_modules",
    "tsconfig.base.json",
    "packages/files",
    "packages/pth",
    "packages/runtime",
    "packages/seed",
    "packages/torch",
    "packages/peekaboo/build",
  ]) {
    symlinkSync(join(root, name), join(copy, name));
  }
  for (const name of ["src", "bin", "package.json", "tsconfig.json"]) {
    cpSync(join(root, "packages/peekaboo", name), join(copy, "packages/peekaboo", name), { recursive: true });
  }
});

describe("docs/extending.md", () => {
  it("adds a pruner and an architecture in one new file and one line each", () => {
    expect(blocks.map(([, path, line]) => [path?.split("/").at(-1), line !== undefined])).toEqual([
      ["layer-magnitude.ts", false],
      ["all.ts", true],
      ["tiny.ts", false],
      ["families.ts", true],
    ]);
    for (const [, path = "", line, code = ""] of blocks) {
      const file = join(copy, path);
      expect(existsSync(dirname(file))).toBe(true);
      expect(existsSync(file)).toBe(line !== undefined);
      if (line === undefined) writeFileSync(file, code);
      else {
        expect(code.trim().split("\n")).toHaveLength(1);
        appendFileSync(file, code);
      }
    }
    const { status, stdout } = run("node_modules/.bin/tsc", "-p", "packages/peekaboo");
    expect(stdout).toBe("");
    expect(status).toBe(0);
  });

  it("and the copy then offers, prunes and trains them", () => {
    const help = peekaboo("train", "--help").stdout;
    expect(help).toContain("LayerMag");
    const models = peekaboo("models", "Tiny").stdout;
    expect(models).toContain("Tiny: 3×32×32 images, 10 classes; 5,466 parameters, 5,040 of them prunable");

    const trained = peekaboo(
      ...["train", "--arch", "PsgTiny", "--pruner", "LayerMag", "--prune-ratio", "0.25", "--optimizer", "BOP"],
      ...["--train-limit", "64", "--test-limit", "64", "--bs", "32", "--max-steps", "2", "--savedir", copy, "--json"],
    );
    expect(trained.stderr).toContain("Kept 1,260 of 5,040 weights");
    expect(JSON.parse(trained.stdout)).toMatchObject({ arch: "PsgTiny", kept: 1260, total: 5040, steps: 2 });

    const seeded = peekaboo(
      ...["train", "--arch", "SeedTiny", "--hidden-act", "flipping", "--train-limit", "64", "--test-limit", "64"],
      ...["--bs", "32", "--max-steps", "2", "--savedir", copy, "--exp-name", "seed"],
    );
    expect(seeded.status, seeded.stderr).toBe(0);
  });
});
