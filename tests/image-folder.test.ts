// Both stages of the ImageNet recipe on a folder of JPEG files made from CIFAR-10, by the real command line.
import { cpSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readSafetensors } from "@peekaboo/files";
import { beforeAll, describe, expect, it } from "vitest";
import { writeCifarFolder } from "./support/cifar-folder.js";
import { peekaboo, peekabooIn } from "./support/cli.js";
import { sharedFolder } from "./support/folder.js";

const folder = sharedFolder();
let images = "";
let pruned = "";

beforeAll(async () => {
  images = join(folder, "images");
  pruned = join(folder, "pruned.safetensors");
  await writeCifarFolder(images, { train: 24, val: 6 });
});

const SMALL = ["--width", "0.125", "--image-size", "32"];
const train = (name: string, ...more: string[]) =>
  peekaboo("train", ...SMALL, "--savedir", folder, "--exp-name", name, "--json", ...more, images);

describe("an image folder", () => {
  it("is pruned for, on one process", () => {
    const flags = ["--pruner", "SynFlow", "--prune-ratio", "0.5", "--prune-iters", "5", "--seed", "0"];
    const { status, stdout, stderr } = peekaboo(
      "prune",
      ...["--arch", "resnet18", ...SMALL, ...flags, "--pruned-save-name", pruned, "--json", images],
    );
    expect(stderr).toContain("Kept ");
    expect(status).toBe(0);
    const { tensors, metadata } = readSafetensors(pruned);
    expect(metadata).toMatchObject({ format: "peekaboo-checkpoint/1", stage: "pruned", numClasses: "10" });
    const report = JSON.parse(metadata.report ?? "") as { kept: number; total: number; layers: unknown[] };
    expect(JSON.parse(stdout)).toMatchObject({ kept: report.kept, total: report.total });
    expect(report.layers).toHaveLength(18);
    expect(tensors.has("mask.fc.weight")).toBe(true);
    expect(tensors.has("mask.layer2.0.downsample.0.weight")).toBe(false);
  });

  it("is trained on from the pruned file, by the original's flags and its ImageNet recipe", () => {
    const { status, stdout, stderr } = train(
      "two",
      ...["--arch", "psg_resnet18", "--optimizer", "BOP", "--ar", "1e-3", "--tau", "1e-6", "--ar-decay-freq", "2"],
      ...[
        "--ar-decay-ratio",
        "0.15",
        "--epochs",
        "3",
        "--psg-threshold",
        "-5e-7",
        "--psg-no-take-sign",
        "--psg-sparsify",
      ],
      ...["--batch-size", "64", "--workers", "2", "--print-freq", "2", "--resume", pruned],
    );
    expect(stderr).toContain("Training the pruned network of");
    expect(stderr).toMatch(/^Epoch 1, step 2 of 4: loss \d/m);
    expect(status, stderr).toBe(0);
    const config = JSON.parse(readFileSync(join(folder, "two", "config.json"), "utf8"));
    expect(config).toMatchObject({ dataset: "imagefolder", data: images, epochs: 3, batchSize: 64 });
    expect(config.sgd).toMatchObject({ lr: 0.1 * (64 / 256), weightDecay: 1e-4, milestones: [30] });
    const lines = readFileSync(join(folder, "two", "metrics.jsonl"), "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    // γ falls before the epoch that completes two.
    const rates = [1e-3, 1e-3 * 0.15, 1e-3 * 0.15];
    expect(lines.filter(({ kind }) => kind === "epoch").map(({ ar }) => ar)).toEqual(rates);
    const last = lines.filter(({ kind }) => kind === "eval").at(-1);
    expect(last.top5).toBeGreaterThanOrEqual(last.accuracy);
    expect(last.top5).toBeLessThan(100);
    expect(JSON.parse(stdout.trim().split("\n").at(-1) ?? "")).toMatchObject({ testImages: 60, steps: 12 });

    const [before, after] = [pruned, join(folder, "two", "checkpoint.safetensors")].map(
      (path) => readSafetensors(path).tensors,
    );
    const masks = [...(before ?? [])].filter(([name]) => name.startsWith("mask."));
    expect(masks.length).toBe(18);
    for (const [name, { data }] of masks)
      expect(Buffer.from(after?.get(name)?.data ?? []).equals(Buffer.from(data)), name).toBe(true);
  });

  it("is trained on by two processes, which share each batch and test each image once", () => {
    const { status, stdout, stderr } = train(
      "pair",
      ...[
        "--arch",
        "psg_resnet18",
        "--optimizer",
        "BOP",
        "--psg-no-take-sign",
        "--batch-size",
        "64",
        "--max-steps",
        "5",
      ],
      ...["--workers", "1", "--resume", pruned, "--nproc-per-node", "2", "--threads", "1"],
    );
    expect(status, stderr).toBe(0);
    expect(JSON.parse(stdout.trim().split("\n").at(-1) ?? "")).toMatchObject({ steps: 5, testImages: 60 });
    const lines = readFileSync(join(folder, "pair", "metrics.jsonl"), "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines.filter(({ kind }) => kind === "step")).toHaveLength(5);
  });

  it("is tested on with --evaluate, and by `peekaboo evaluate`, alike", () => {
    const checkpoint = join(folder, "two", "checkpoint.safetensors");
    const one = train("none", "--arch", "psg_resnet18", "--evaluate", "--resume", checkpoint);
    expect(one.status, one.stderr).toBe(0);
    const other = peekaboo("evaluate", checkpoint, "--json");
    const { accuracy, top5, images: count } = JSON.parse(one.stdout);
    expect(JSON.parse(other.stdout)).toMatchObject({ accuracy, top5, images: count });
  });

  it("gives the same training whatever the number of workers", () => {
    const tensors = ["0", "1", "3"].map((workers) => {
      const name = `workers-${workers}`;
      const { status, stderr } = train(
        name,
        "--arch",
        "resnet18",
        "--batch-size",
        "32",
        "--max-steps",
        "3",
        "--workers",
        workers,
      );
      expect(status, stderr).toBe(0);
      return Buffer.from(
        readSafetensors(join(folder, name, "checkpoint.safetensors")).tensors.get("conv1.weight")?.data ?? [],
      );
    });
    expect(tensors[1]?.equals(tensors[0] ?? Buffer.alloc(0))).toBe(true);
    expect(tensors[2]?.equals(tensors[0] ?? Buffer.alloc(0))).toBe(true);
  });

  it("is refused with a sentence where a pruned file doesn't fit, and where an image is bad", () => {
    const wrong = train("wrong", "--arch", "psg_resnet50", "--resume", pruned);
    expect(wrong.status).toBe(2);
    expect(wrong.stderr).toMatch(
      /^train: expected a pruned resnet50 of width 0\.125, .* which holds a resnet18 of width 0\.125;[^\n]*\n$/,
    );
    const twice = train(
      "twice",
      "--arch",
      "psg_resnet18",
      "--resume",
      pruned,
      "--pruner",
      "Mag",
      "--prune-ratio",
      "0.5",
    );
    expect(twice.stderr).toContain("expected none beside a network that is pruned already for --pruner");

    const bad = join(images, "train", "frog", "broken.jpg");
    writeFileSync(bad, "no image");
    const strict = train("strict", "--arch", "resnet18", "--batch-size", "241", "--max-steps", "1");
    expect(strict.status).toBe(2);
    expect(strict.stderr).toContain(bad);
    const lenient = train(
      "lenient",
      "--arch",
      "resnet18",
      "--batch-size",
      "241",
      "--max-steps",
      "1",
      "--on-bad-image",
      "skip",
    );
    expect(lenient.status, lenient.stderr).toBe(0);
    expect(lenient.stderr).toMatch(/Warning: skipped 1 of 241 train images/);
  });

  it("is looked for beside the run when it was given by a relative path, and must have the classes that were learned", () => {
    const project = join(folder, "project");
    mkdirSync(project);
    rmSync(join(images, "train", "frog", "broken.jpg"), { force: true });
    cpSync(images, join(project, "images"), { recursive: true });
    const at = (cwd: string, ...args: string[]) => peekabooIn({ cwd }, ...args);
    const how = ["--arch", "resnet18", ...SMALL, "--max-steps", "1", "--batch-size", "32", "--train-limit", "32"];
    const run = at(project, "train", ...how, "--exp-name", "relative", "--workers", "1", "images");
    expect(run.status, run.stderr).toBe(0);

    const moved = join(folder, "moved");
    renameSync(project, moved);
    const file = join(moved, "results", "relative", "best.safetensors");
    const evaluate = (...more: string[]) => at(folder, "evaluate", file, "--workers", "1", "--json", ...more);
    renameSync(images, `${images}-away`);
    try {
      const found = evaluate();
      expect(found.status, found.stderr).toBe(0);
      expect(found.stderr).toContain(`the images are those of "${join(moved, "images")}"`);
      expect(JSON.parse(found.stdout)).toMatchObject({ images: 60, dataset: "imagefolder" });
      const again = at(folder, "reproduce", join(moved, "results", "relative"));
      expect(again.stdout, again.stderr).toContain("Identical");
    } finally {
      renameSync(`${images}-away`, images);
    }

    const fewer = join(folder, "fewer");
    for (const split of ["train", "val"]) {
      cpSync(join(images, split, "cat"), join(fewer, split, "cat"), { recursive: true });
    }
    const refused = evaluate("--data", fewer);
    expect([refused.status, refused.stdout]).toEqual([2, ""]);
    expect(refused.stderr).toMatch(/expected images of its 10 classes \(.*received 1 class \("cat"\)/);
    const onwards = at(moved, "train", ...how, "--exp-name", "relative", "--max-steps", "2", "--workers", "1", fewer);
    expect(onwards.status).toBe(2);
    expect(onwards.stderr).toMatch(/expected images of its 10 classes/);
    const tested = at(
      moved,
      "train",
      ...how,
      "--evaluate",
      "--resume",
      file,
      "--image-size",
      "48",
      "--workers",
      "1",
      images,
    );
    expect(tested.status).toBe(2);
    expect(tested.stderr).toContain("give --image-size 32");
  });
});
