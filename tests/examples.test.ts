// The examples run as they stand, on real CIFAR-10.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { sharedFolder } from "./support/folder.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = sharedFolder();

beforeAll(() => {
  const { status, stdout } = spawnSync(join(root, "node_modules/.bin/tsc"), ["-b", "examples"], {
    cwd: root,
    encoding: "utf8",
  });
  expect({ status, stdout }).toEqual({ status: 0, stdout: "" });
});

function run(name: string, ...args: string[]): string[] {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, `examples/dist/${name}.js`), ...args], {
    encoding: "utf8",
  });
  expect(status, stderr).toBe(0);
  return stdout.trim().split("\n");
}

describe("examples/", () => {
  it("one-file.ts shows the whole method in at most 160 lines, and learns", () => {
    expect(readFileSync(join(root, "examples/one-file.ts"), "utf8").split("\n").length).toBeLessThanOrEqual(160);
    const epochs = run("one-file").map((line) => /^epoch \d: ([\d.]+) % right, (\d+) signs flipped$/.exec(line));
    expect(epochs).toHaveLength(3);
    const [first, last] = [epochs[0], epochs[2]];
    expect(Number(last?.[1])).toBeGreaterThan(20); // Chance gives 10.
    expect(Number(last?.[2])).toBeLessThan(Number(first?.[2]));
  });

  it("own-network.ts prunes, trains and saves a network that isn't the project's", () => {
    const file = join(folder, "own.safetensors");
    const [pruned, first, second] = run("own-network", file);
    expect(pruned).toBe("5981 of 19936 weights stay");
    expect(first).toMatch(/^epoch 1: loss 2\.\d+, \d+ flips a step, [\d.]+ % right$/);
    expect(second).toMatch(/^epoch 2: /);
    expect(readFileSync(file).length).toBeGreaterThan(100_000);
  });

  it("own-pruner.ts prunes by a score that isn't the project's", () => {
    const [own, magnitude] = run("own-pruner");
    const [, share] = /^LayerMag: 849 weights stay, ([\d.]+) %/.exec(own ?? "") ?? [];
    const [, least] = /^Mag: 849 weights stay, ([\d.]+) %/.exec(magnitude ?? "") ?? [];
    expect(Number(share)).toBeGreaterThan(Number(least));
  });
});
