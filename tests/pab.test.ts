// .pab files by the real command line: written at a run's end, exported, inspected, predicted with, evaluated, imported.
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readSafetensors } from "@peekaboo/files";
import { measurePab } from "@peekaboo/seed";
import { beforeAll, describe, expect, it } from "vitest";
import { peekaboo } from "./support/cli.js";
import { sharedFolder } from "./support/folder.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const demo = join(root, "models/cifar10-demo.pab");
const samples = join(root, "models/samples");
const folder = sharedFolder();
const run = join(folder, "run");
const best = join(run, "best.pab");

const SETTINGS = ["--arch", "PsgResNet20", "--width", "0.5", "--init-method", "kaiming_normal", "--pruner", "SynFlow"]
  .concat(["--prune-ratio", "0.3", "--prune-iters", "5", "--bs", "32", "--train-limit", "320", "--test-limit", "200"])
  .concat(["--max-steps", "10", "--ar", "1e-2", "--tau", "1e-6", "--seed", "3", "--savedir", folder]);

let words = "";

beforeAll(() => {
  const trained = peekaboo("train", ...SETTINGS, "--optimizer", "BOP", "--exp-name", "run");
  expect(trained.status, trained.stderr).toBe(0);
  words = trained.stdout;
});

describe("best.pab", () => {
  it("is written at a run's end, which tells its real size", () => {
    const { sizes, tensors, description } = measurePab(readFileSync(best));
    const bytes = statSync(best).size;
    expect(words).toContain(`${(bytes / 1000).toFixed(1)} kB: description`);
    expect(words).toContain(best);
    expect(Object.values(sizes).reduce((sum, size) => sum + size, 0)).toBe(bytes);
    expect(description.seed).toBe(3);
    expect(description.test?.images).toBe(200);
    expect(tensors.filter(({ stored }) => stored === "signs").length).toBe(21);
    // Hardly trained, so that signs are as random as the seed made them.
    const kept = tensors.reduce((sum, tensor) => sum + (tensor.stored === "signs" ? tensor.kept : 0), 0);
    expect((8 * sizes.signs) / kept).toBeLessThan(1.05);
    expect(
      (8 * sizes.masks) / tensors.reduce((sum, tensor) => sum + (tensor.mask > 0 ? tensor.total : 0), 0),
    ).toBeLessThan(0.3);
  });

  it("of a run that was killed before it could be written comes when the run is taken up, and then stays as it is", () => {
    const again = () => peekaboo("train", ...SETTINGS, "--optimizer", "BOP", "--exp-name", "run").status;
    const before = readFileSync(best);
    rmSync(best);
    expect(again()).toBe(0);
    expect(readFileSync(best).equals(before)).toBe(true);
    const { mtimeMs } = statSync(best);
    expect(again()).toBe(0);
    expect(statSync(best).mtimeMs).toBe(mtimeMs);
  });

  it("becomes a checkpoint again whose convolutions and masks are equal in every bit", () => {
    const imported = join(folder, "imported.safetensors");
    const { status, stderr } = peekaboo("import", best, "--output", imported);
    expect(status, stderr).toBe(0);
    const before = readSafetensors(join(run, "best.safetensors")).tensors;
    const after = readSafetensors(imported).tensors;
    const names = [...before.keys()].filter((name) => before.get(name)?.shape.length === 4 && !name.startsWith("bop."));
    expect(names.length).toBe(42);
    for (const name of names)
      expect(Buffer.from(after.get(name)?.data ?? []).equals(before.get(name)?.data ?? Buffer.of(1)), name).toBe(true);
    const again = join(folder, "again.pab");
    expect(peekaboo("export", imported, "--format", "pab", "--output", again, "--test-limit", "100").status).toBe(0);
    const parts = (file: string) => measurePab(readFileSync(file)).sizes;
    expect([parts(again).masks, parts(again).signs]).toEqual([parts(best).masks, parts(best).signs]);
    const trained = peekaboo(
      "train",
      ...SETTINGS,
      "--optimizer",
      "BOP",
      "--exp-name",
      "on",
      "--load-pretrained",
      imported,
    );
    expect(trained.status, trained.stderr).toBe(0);
  });

  it("gives the same accuracy by the runtime and by libtorch, and what export tells", () => {
    const accuracy = (...args: string[]) => {
      const { status, stdout, stderr } = peekaboo("evaluate", best, "--test-limit", "200", "--json", ...args);
      expect(status, stderr).toBe(0);
      return JSON.parse(stdout) as { accuracy: number; loss: number; images: number };
    };
    const [runtime, torch] = [accuracy(), accuracy("--engine", "torch")];
    expect(runtime.images).toBe(200);
    expect(runtime.accuracy).toBe(torch.accuracy);
    expect(Math.abs(runtime.loss - torch.loss)).toBeLessThan(1e-4);
  });
});

/** Runs a command where libtorch can't be loaded. */
function withoutLibtorch(...args: string[]) {
  const refuse = `const load = process.dlopen; process.dlopen = (module, path, ...more) => {
    if (/packages.(torch|peekaboo).build/.test(path)) throw new Error("libtorch was loaded");
    return load.call(process, module, path, ...more);
  };`;
  const hook = `data:text/javascript,${encodeURIComponent(refuse)}`;
  const command = ["--import", hook, join(root, "packages/peekaboo/bin/peekaboo.js"), ...args];
  return spawnSync(process.execPath, command, { encoding: "utf8", env: { ...process.env, CI: "true" } });
}

describe("without libtorch", () => {
  it("predict tells the classes of files, of a folder, and of standard input", () => {
    const { status, stdout, stderr } = withoutLibtorch("predict", demo, samples, "--json");
    expect(status, stderr).toBe(0);
    const seen = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { image: string; label: string; best: { probability: number }[] });
    expect(seen.map(({ image, label }) => [image.slice(samples.length + 1), label])).toEqual([
      ["airplane.png", "airplane"],
      ["cat.png", "cat"],
      ["ship.png", "ship"],
    ]);
    for (const { best: guesses } of seen) expect(guesses.length).toBe(5);
    expect(withoutLibtorch("predict", demo, join(samples, "cat.png")).stdout).toMatch(
      /cat\.png {2}\(\d+\.\d ms\)\n {2}cat +74\.\d % {2}█+/,
    );
  });

  it("inspect and evaluate read the file", () => {
    const inspected = withoutLibtorch("inspect", demo);
    expect(inspected.stdout).toContain("PsgResNet18, kaiming_normal from seed 0");
    expect(inspected.stdout).toMatch(
      /layer4\.1\.conv2\.weight +128×128×3×3 +25,774 +147,456 +17\.5 % +0\.02\d +0\.8\d\d/,
    );
    const { status, stdout, stderr } = withoutLibtorch("evaluate", demo, "--test-limit", "100", "--json");
    expect(status, stderr).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ arch: "PsgResNet18", dataset: "cifar10", images: 100, accuracy: 73 });
  });

  it("an image that can't be read doesn't keep predict from the others, and is told", () => {
    const text = join(folder, "text.png");
    writeFileSync(text, "no image");
    mkdirSync(join(folder, "empty"));
    const { status, stdout, stderr } = withoutLibtorch(
      "predict",
      demo,
      text,
      join(folder, "empty"),
      join(folder, "nowhere.png"),
      join(samples, "cat.png"),
    );
    expect([status, stdout.split("\n")[1]?.trim().split(/ +/)[0]]).toEqual([2, "cat"]);
    expect(stderr.trim().split("\n")).toEqual([
      expect.stringContaining("text.png"),
      expect.stringMatching(/expected an image in the folder .*empty", received none\.$/),
      `predict: expected an image that can be read for ${JSON.stringify(join(folder, "nowhere.png"))}, received no such file.`,
    ]);
  });

  it("a damaged file and one of another kind are refused in a sentence", () => {
    const damaged = join(folder, "damaged.pab");
    const bytes = readFileSync(demo);
    bytes[20_000] = (bytes[20_000] ?? 0) ^ 1;
    writeFileSync(damaged, bytes);
    for (const command of ["inspect", "evaluate", "predict"]) {
      const { status, stderr, stdout } = withoutLibtorch(command, damaged, ...(command === "predict" ? [samples] : []));
      expect([status, stdout]).toEqual([2, ""]);
      expect(stderr).toMatch(
        /^\w+: expected that of its bytes for the checksum of the signs of ".*damaged\.pab", received another; give an undamaged \.pab file\.\n$/,
      );
    }
    expect(withoutLibtorch("predict", join(samples, "cat.png"), samples).stderr).toContain("expected a .pab file");
  });
});

describe("export --format pab", () => {
  it("refuses what SGD trained, saying what to train instead", () => {
    const trained = peekaboo("train", ...SETTINGS, "--arch", "ResNet20", "--optimizer", "SGD", "--exp-name", "dense");
    expect(trained.status, trained.stderr).toBe(0);
    expect(trained.stdout).not.toContain(".pab");
    const { status, stderr } = peekaboo("export", join(folder, "dense", "best.safetensors"), "--format", "pab");
    expect(status).toBe(2);
    expect(stderr).toContain("received weights that SGD trained");
    expect(stderr).toContain("train with --optimizer BOP");
  });

  it("doesn't replace a file unasked", () => {
    mkdirSync(join(folder, "copy"));
    copyFileSync(join(run, "best.safetensors"), join(folder, "copy", "best.safetensors"));
    const args = ["export", join(folder, "copy", "best.safetensors"), "--format", "pab", "--test-limit", "200"];
    expect(peekaboo(...args).status).toBe(0);
    expect(peekaboo(...args).stderr).toContain("which is there already");
    expect(peekaboo(...args, "--force", "--float32").stdout).toContain("On 200 test images: accuracy");
  });
});
