// Paths, texts and folders that mean no good, by the real command line; a command that doesn't end is killed and fails.
import { execFileSync } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { encodeSafetensors } from "@peekaboo/files/safetensors";
import { describe, expect } from "vitest";
import { peekaboo, peekabooIn } from "./support/cli.js";
import { it } from "./support/folder.js";
import { bmpOf, solid, writeFiles } from "./support/images.js";

/** The one sentence with which a command refuses, after what it was about to do. */
function refusal(args: readonly string[], env: Record<string, string> = {}): string {
  const { status, stderr } = peekabooIn({ env }, ...args);
  expect(stderr).toMatch(/^([^\n\p{C}]{1,1500}\n)?[^\n\p{C}]{1,1500}[.?]\n$/u);
  expect(status).toBe(2);
  return stderr;
}

const pipe = (folder: string) => {
  const path = join(folder, "pipe");
  execFileSync("mkfifo", [path]);
  return path;
};
const train = (folder: string, name: string) => ["train", "--savedir", folder, "--exp-name", name];

describe("a path without an end", () => {
  it.for<[string, (path: string, folder: string) => string[]]>([
    ["data", (path, folder) => ["data", "cifar10", "--from", path, "--data-folder", join(folder, "data")]],
    ["a network to inspect", (path) => ["inspect", path]],
    ["weights", (path, folder) => [...train(folder, "x"), "--resume", path]],
    ["what is pruned", (path) => ["prune", "--pruner", "SynFlow", "--pruned-save-name", path]],
  ])("is refused as %s", ([_, command], { folder }) => {
    expect(refusal(command(pipe(folder), folder))).toContain("received a device, pipe or socket");
    expect(refusal(command("/dev/zero", folder))).toContain("received a device, pipe or socket");
  });

  it.for(["run.lock", "metrics.jsonl", "checkpoint.safetensors"])(
    "is refused as %s, before the run begins",
    (file, { folder }) => {
      mkdirSync(join(folder, "run"));
      symlinkSync("/dev/zero", join(folder, "run", file));
      expect(refusal(train(folder, "run"))).toMatch(
        new RegExp(`^train: expected a regular file for ".*${file}".*remove`),
      );
    },
  );

  it("is refused as a place for data and for runs", () => {
    expect(refusal(["train", "--savedir", "/proc/x"])).toContain("a place where a folder can be made");
    const env = { HOME: "/proc", XDG_CACHE_HOME: "", PEEKABOO_DATA: "" };
    expect(refusal(["data", "cifar10"], env)).toContain("set PEEKABOO_DATA to another folder");
  });
});

describe("a text from a file", () => {
  const name = "\u001b]0;owned\u0007.weight";
  const saved = (folder: string, metadata: Record<string, string>) => {
    const path = join(folder, "checkpoint.safetensors");
    const entry = { dtype: "F32", shape: [1, 1, 1, 1], data: new Uint8Array(4) } as const;
    const known = { format: "peekaboo-checkpoint/1", config: "{}", ...metadata };
    writeFileSync(path, Buffer.concat(encodeSafetensors([[name, entry]], known)));
    return path;
  };

  it("is shown without what a terminal obeys, and told to a program as it is", ({ folder }) => {
    const path = saved(folder, {});
    const shown = peekaboo("inspect", path);
    expect(shown.stdout).toContain("\\u001b]0;owned\\u0007.weight");
    expect(shown.stdout).not.toMatch(/(?!\n)\p{C}/u);
    const { layers } = JSON.parse(peekaboo("inspect", path, "--json").stdout) as { layers: { name: string }[] };
    expect(layers.map((layer) => layer.name)).toEqual([name]);
  });

  it("of any length and depth gives one sentence", ({ folder }) => {
    expect(
      refusal(["inspect", saved(folder, { config: JSON.stringify({ ["x".repeat(5_000_000)]: 1 }) })]).length,
    ).toBeLessThan(500);
    expect(refusal(["inspect", saved(folder, { config: `{"arch":${"[".repeat(100_000)}` })])).toContain(
      "nested more than 64 deep",
    );
  });
});

describe("an image folder", () => {
  it("gives all its images, each once, and tells what else is there", async ({ folder }) => {
    const grey = () => solid([90, 90, 90], 8, 8);
    const images = join(folder, "images");
    await writeFiles(images, {
      "train/a/1.TIFF": grey().tiff().toBuffer(),
      "train/a/2.gif": grey().gif().toBuffer(),
      "train/a/3.avif": grey().avif().toBuffer(),
      "train/b/4.bmp": bmpOf(8, 8, [90, 90, 90]),
      "train/b/5.ppm": Buffer.concat([Buffer.from("P6 8 8 255\n"), Buffer.alloc(192, 90)]),
      "train/b/6.heic": Buffer.alloc(9),
      "train/b/7.txt": Buffer.alloc(9),
      "train/b/._5.ppm": Buffer.alloc(9),
      "train/.ipynb_checkpoints/8.png": Buffer.alloc(9),
      "val/a/1.png": grey().png().toBuffer(),
      "val/b/1.png": grey().png().toBuffer(),
    });
    // Six folders, from each of which links lead to all: 1,957 ways without a circle.
    for (let from = 0; from < 6; from++) {
      mkdirSync(join(images, "train/a", `f${from}`));
      for (let to = 0; to < 6; to++) symlinkSync(`../f${to}`, join(images, "train/a", `f${from}`, `${to}`));
    }
    const small = ["--arch", "resnet18", "--width", "0.125", "--image-size", "32", "--epochs", "1", "--bs", "5"];
    const { status, stdout, stderr } = peekaboo(
      ...train(folder, "images"),
      ...small,
      "--workers",
      "1",
      "--json",
      images,
    );
    expect(stderr).toContain("Warning: passed over 2 files: 1 .heic, 1 .txt.\n");
    expect(status).toBe(0);
    // One step takes all five.
    expect(JSON.parse(stdout)).toMatchObject({ steps: 1, testImages: 2 });
  });
});
