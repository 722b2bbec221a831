// Compiles tests/device/native into tests/device/build, each file a library, where it is missing or older than its source.
// Usage: node tests/device/build.mjs
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const words = (kind) =>
  execFileSync(process.execPath, [here("../../packages/torch/scripts/find-libtorch.mjs"), kind], { encoding: "utf8" })
    .trim()
    .split("\n");

const flags = [...words("include").map((folder) => `-I${folder}`), ...words("cflags")];
const libs = words("libs");
mkdirSync(here("build"), { recursive: true });
for (const source of readdirSync(here("native"))) {
  const input = here(`native/${source}`);
  const output = here(`build/${source.replace(/\.cc$/, ".so")}`);
  const command = ["-std=c++17", "-O1", "-fPIC", "-shared", "-w", "-DNDEBUG", ...flags, input, "-o", output, ...libs];
  const stamp = createHash("sha256").update(JSON.stringify(command)).update(readFileSync(input)).digest("hex");
  const stampFile = `${output}.stamp`;
  if (existsSync(output) && existsSync(stampFile) && readFileSync(stampFile, "utf8") === stamp) continue;
  process.stdout.write(`Compiling tests/device/native/${source}…\n`);
  const { status } = spawnSync(process.env.CXX ?? "g++", command, { stdio: "inherit" });
  if (status !== 0) process.exit(1);
  writeFileSync(stampFile, stamp);
}
