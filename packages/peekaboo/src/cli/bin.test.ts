import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect } from "vitest";
import { it } from "../../../../tests/support/folder.js";

const launcher = fileURLToPath(new URL("../../bin/peekaboo.js", import.meta.url));

it.beforeEach(({ folder }) => {
  mkdirSync(join(folder, "bin"));
  copyFileSync(launcher, join(folder, "bin/peekaboo.js"));
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
});

const launch = (folder: string, ...argv: string[]) =>
  spawnSync(process.execPath, [join(folder, "bin/peekaboo.js"), ...argv], { encoding: "utf8" });

describe("bin/peekaboo.js", () => {
  it("says how to build what isn't built, with status 2", ({ folder }) => {
    const { status, stdout, stderr } = launch(folder, "--help");
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(/^peekaboo is not built yet: run `[^`]+` [^\n]+\.\n$/);
  });

  it("hands the arguments to the command line and its status to the shell", ({ folder }) => {
    mkdirSync(join(folder, "dist/cli"), { recursive: true });
    writeFileSync(
      join(folder, "dist/cli/main.js"),
      "export async function main(argv) { console.log(argv.join()); return 130; }",
    );
    const { status, stdout } = launch(folder, "train", "--json");
    expect([status, stdout]).toEqual([130, "train,--json\n"]);
  });
});
