// What the READMEs of the packages without libtorch show is run.
import { spawnSync } from "node:child_process";
import { copyFileSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readSafetensors } from "@peekaboo/files";
import { beforeAll, expect, it } from "vitest";
import { sharedFolder } from "./support/folder.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = sharedFolder();

beforeAll(() => {
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  copyFileSync(join(root, "packages/pth/src/fixtures/state.pth"), join(folder, "state.pth"));
  copyFileSync(join(root, "models/cifar10-demo.pab"), join(folder, "cifar10-demo.pab"));
});

function run(name: string): string {
  const readme = readFileSync(join(root, "packages", name, "README.md"), "utf8");
  // Each example is a program of its own.
  const examples = [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, example = ""]) => example);
  return examples.map(runExample).join("");
}

function runExample(example: string): string {
  writeFileSync(join(folder, "example.mjs"), example);
  const { stdout, stderr } = spawnSync(process.execPath, ["example.mjs"], { cwd: folder, encoding: "utf8" });
  expect(stderr).toBe("");
  return stdout;
}

it("packages/files/README.md", () => {
  expect(run("files")).toBe(`w [ 2, 2 ] Float32Array(4) [ 1, 2, 3, 4 ] by hand
read safetensors: expected an existing file for "nowhere.safetensors", received none (ENOENT); correct the path.
`);
});

it("packages/pth/README.md", () => {
  const lines = run("pth").trim().split("\n");
  expect(lines).toHaveLength(8);
  expect(lines[0]).toBe("conv.weight F32 [ 2, 1, 1, 1 ]");
  const tensors = readSafetensors(join(folder, "state.safetensors")).tensors;
  expect([...tensors.keys()]).toEqual(lines.map((line) => line.split(" ")[0]));
  expect(readFileSync(join(folder, "copy.pth")).subarray(0, 2).toString()).toBe("PK");
});

it("packages/seed/README.md", () => {
  expect(run("seed")).toBe("108 -0.06366348266601562\n2600582864\n");
});

it("packages/runtime/README.md", () => {
  expect(run("runtime")).toBe("ship true 5 10\ntrue Float32Array(4) [ 3.125, 3.125, 3.125, 3.125 ]\n");
});
