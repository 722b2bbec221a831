import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { openDataset } from "../../packages/peekaboo/src/data/dataset.js";

/** Writes the first images of each of CIFAR-10's classes as JPEG files: `train/CLASS/N.jpeg` and `val/CLASS/N.jpeg`. */
export async function writeCifarFolder(folder: string, perClass: { train: number; val: number }): Promise<void> {
  const { classes, train, test } = await openDataset("cifar10");
  for (const [name, split, wanted] of [
    ["train", train, perClass.train],
    ["val", test, perClass.val],
  ] as const) {
    const written = classes.map(() => 0);
    const size = split.height * split.width * split.channels;
    for (const [i, label] of split.labels.entries()) {
      const number = written[label] ?? 0;
      if (number >= wanted) continue;
      written[label] = number + 1;
      const path = join(folder, name, classes[label] ?? "", `${number}.jpeg`);
      if (existsSync(path)) continue;
      mkdirSync(join(folder, name, classes[label] ?? ""), { recursive: true });
      const raw = { width: split.width, height: split.height, channels: 3 } as const;
      await sharp(split.images.subarray(i * size, (i + 1) * size), { raw })
        .jpeg({ quality: 95 })
        .toFile(path);
      if (written.every((count) => count >= wanted)) break;
    }
  }
}
