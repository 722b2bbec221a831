// The examples run as they stand, on real CIFAR-10.
import { spawnSync } from "node:child_process";
import { copyFileSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";
import { beforeAll, describe, expect, it } from "vitest";
import { chromiumPath, launchChromium, serveFolder } from "../bench/chromium.js";
import { sharedFolder } from "./support/folder.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const bin = join(root, "packages/peekaboo/bin/peekaboo.js");
const folder = sharedFolder();
const chromium = chromiumPath();

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

  it("own-data.ts learns shapes that it drew itself, and the file names new ones", () => {
    const lines = run("own-data", join(folder, "shapes.pab"));
    const last = /^epoch 3: ([\d.]+) % right$/.exec(lines[2] ?? "");
    expect(Number(last?.[1])).toBeGreaterThan(85); // Chance gives 25.
    const named = lines.filter((line) => /^a (\w+): \1$/.test(line));
    expect(named.length).toBeGreaterThanOrEqual(3);
    expect(lines.at(-1)).toMatch(/^\d{4} bytes$/);
  });

  it("study.ts is a study that can be swept, here in a few steps a run", () => {
    const short =
      "--max-steps 2 --train-limit 128 --test-limit 32 --width 0.125 --seed 0 --threads 1 --parallel 2".split(" ");
    const args = ["sweep", join(root, "examples/dist/study.js"), "--savedir", join(folder, "example"), ...short];
    const { status, stderr } = spawnSync(process.execPath, [bin, ...args], { encoding: "utf8" });
    expect(status, stderr).toBe(0);
    const rows = readFileSync(join(folder, "example/results.csv"), "utf8").trim().split("\n").slice(1);
    const named = (name: string) => rows.filter((row) => row.startsWith(name) && row.includes(",done,"));
    expect(rows).toHaveLength(6);
    for (const density of [0.01, 0.0707, 0.5]) {
      expect(named(`SynFlow-density${density}-`)).toHaveLength(1);
      expect(named(`at_random-density${density}-`)).toHaveLength(1);
    }
  });

  it.skipIf(chromium === undefined)("browser/ predicts in a page that Vite bundles", async () => {
    const built = join(folder, "page");
    await build({
      root: join(root, "examples/browser"),
      base: "./",
      logLevel: "error",
      build: { outDir: built, target: "es2022", assetsInlineLimit: 0 },
    });
    copyFileSync(join(root, "models/cifar10-demo.pab"), join(built, "network.pab"));
    const host = await serveFolder(built);
    const browser = await launchChromium(chromium ?? "");
    try {
      const page = await browser.newPage();
      await page.goto(host.address);
      await page.waitForSelector('#answer:has-text("airplane, automobile")');
      await page.setInputFiles(
        "#picture",
        join(root, "models/samples", readdirSync(join(root, "models/samples"))[0] ?? ""),
      );
      await page.waitForSelector('#answer:has-text(" %")');
      expect(await page.textContent("#answer")).toMatch(/^\w+, [\d.]+ %$/);
    } finally {
      await browser.close();
      host.close();
    }
  });

  it("own-pruner.ts prunes by a score that isn't the project's", () => {
    const [own, magnitude] = run("own-pruner");
    const [, share] = /^LayerMag: 849 weights stay, ([\d.]+) %/.exec(own ?? "") ?? [];
    const [, least] = /^Mag: 849 weights stay, ([\d.]+) %/.exec(magnitude ?? "") ?? [];
    expect(Number(share)).toBeGreaterThan(Number(least));
  });
});
