import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { sharedFolder } from "../../../../tests/support/folder.js";
import { cpuFeatures, environmentOf, environmentSchema } from "./environment.js";

const folder = sharedFolder();

it("tells the version, this process and what it is given, as its schema has it", () => {
  const data = { "train.images.sha256": "ab" };
  const environment = environmentOf({
    device: "cpu",
    threads: { count: 3, why: "the CPU quota of its cgroup" },
    worldSize: 2,
    data,
    argv: ["train", "--bs", "4"],
  });
  expect(environment).toMatchObject({
    device: "cpu",
    threads: 3,
    worldSize: 2,
    data,
    commandLine: ["train", "--bs", "4"],
  });
  expect(environment).toMatchObject({ threadsFrom: "the CPU quota of its cgroup", flushDenormals: true });
  expect(environment.version).toMatch(/^\d+\.\d+\.\d+/);
  expect(environment.node).toBe(process.versions.node);
  expect(environment.commit ?? "0".repeat(40)).toMatch(/^[0-9a-f]{40}(-dirty)?$/);
  expect(environmentSchema.parse(JSON.parse(JSON.stringify(environment)))).toEqual(environment);
});

it.each([
  [
    "x86's",
    "processor : 0\nflags\t\t: fpu sse2 avx512f fma avx2\nbugs : x\nflags\t\t: amx_tile\n",
    ["avx2", "avx512f", "fma"],
  ],
  ["ARM's", "processor : 0\nFeatures\t: fp asimd crc32 sve\n", ["asimd", "sve"]],
  ["an unknown system's", "nothing like it", []],
])("reads the features that matter from %s cpuinfo", (_, text, expected) => {
  const path = join(folder, "cpuinfo");
  writeFileSync(path, text);
  expect(cpuFeatures(path)).toEqual(expected);
});

it("knows no features where there is no cpuinfo", () => {
  expect(cpuFeatures(join(folder, "none"))).toEqual([]);
});
