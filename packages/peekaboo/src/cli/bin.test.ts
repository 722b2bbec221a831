import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const launcher = fileURLToPath(new URL("../../bin/peekaboo.js", import.meta.url));

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "peekaboo-bin-"));
  mkdirSync(join(folder, "bin"));
  copyFileSync(launcher, join(folder, "bin/peekaboo.js"));
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const launch = (...argv: string[]) =>
  spawnSync(process.execPath, [join(folder, "bin/peekaboo.js"), ...argv], { encoding: "utf8" });

describe("bin/peekaboo.js", () => {
  it("says how to build what isn't built, with status 2", () => {
    const { status, stdout, stderr } = launch("--help");
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(/^peekaboo is not built yet: run `[^`]+` [^\n]+\.\n$/);
  });

  it("hands the arguments to the command line and its status to the shell", () => {
    mkdirSync(join(folder, "dist/cli"), { recursive: true });
    writeFileSync(
      join(folder, "dist/cli/main.js"),
      "export async function main(argv) { console.log(argv.join()); return 130; }",
    );
    const { status, stdout } = launch("train", "--json");
    expect([status, stdout]).toEqual([130, "train,--json\n"]);
  });
});
