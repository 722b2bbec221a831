import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect } from "vitest";
import { it } from "./support/folder.js";

const source = fileURLToPath(new URL("../scripts/setup.sh", import.meta.url));

/** Stands in for node-gyp: tells where it was asked to build, and leaves a library there. */
const NODE_GYP = `
const { mkdirSync, writeFileSync } = require("node:fs");
const folder = process.argv[process.argv.indexOf("-C") + 1];
mkdirSync(folder + "/build/Release", { recursive: true });
writeFileSync(folder + "/build/Release/torch.node", folder);
console.log("headers " + process.env.npm_package_config_node_gyp_nodedir);
process.exitCode = Number(process.env.STATUS ?? 0);
`;

/** A project of nothing but what compiling needs, and set-up's functions. */
function makeProject(folder: string, name: string): string {
  const project = join(folder, name);
  for (const path of ["scripts/node-api", "packages/torch/native", "packages/torch/scripts", "packages/torch/build"]) {
    mkdirSync(join(project, path), { recursive: true });
  }
  for (const name of ["node-gyp/bin", "node-addon-api", "node-api-headers"]) {
    mkdirSync(join(project, "node_modules", name), { recursive: true });
  }
  writeFileSync(join(project, "node_modules/node-gyp/bin/node-gyp.js"), NODE_GYP);
  writeFileSync(join(project, "packages/torch/binding.gyp"), "{}");
  cpSync(source, join(project, "scripts/setup.sh"));
  const script = readFileSync(source, "utf8");
  writeFileSync(join(project, "scripts/functions.sh"), script.replace(/^main "\$@"\n/m, ""));
  return project;
}

/** The folder in which the library of a project of that name is compiled, and what is left of temporary ones. */
function compiledIn(folder: string, name: string, environment: NodeJS.ProcessEnv = {}) {
  const project = makeProject(folder, name);
  const temporary = join(folder, "temporary");
  mkdirSync(temporary, { recursive: true });
  const env = { ...process.env, TMPDIR: temporary, ...environment };
  execFileSync("bash", ["-c", "source scripts/functions.sh && compile packages/torch"], { cwd: project, env });
  const place = readFileSync(join(project, "packages/torch/build/Release/torch.node"), "utf8");
  return { place, project, left: readdirSync(temporary) };
}

describe("set-up", () => {
  it("compiles where it is when make can read the path", ({ folder }) => {
    const { place, project } = compiledIn(folder, "my-projects_2.0/peek@boo+");
    expect(place).toBe(join(project, "packages/torch"));
  });

  it.for([
    "My Projects",
    "quoted \"twice\" and 'once'",
    "$HOME",
    "Fußnoten",
    "#1",
    "(copy)",
    "a&b;c",
    "back\\slash",
    "50%",
    "co:lon",
    "star*",
    "tab\tbed",
  ])("compiles elsewhere and brings the library back, below %j", (name, { folder }) => {
    const { place, left } = compiledIn(folder, join(name, "peekaboo"));
    expect(place).toMatch(/^[\w./@+-]+\/peekaboo-build-\w+\/packages\/torch$/);
    expect(left).toEqual([]);
  });

  it("passes over a temporary folder that make can't read either", ({ folder }) => {
    mkdirSync(join(folder, "also odd"));
    const { place } = compiledIn(folder, "My Projects", { TMPDIR: join(folder, "also odd") });
    expect(place).toMatch(/^\/(?:var\/)?tmp\/peekaboo-build-/);
  });

  it("says that compiling elsewhere failed, and leaves nothing there", ({ folder }) => {
    expect(() => compiledIn(folder, "My Projects", { STATUS: "1" })).toThrow();
    expect(readdirSync(join(folder, "temporary"))).toEqual([]);
  });
});
