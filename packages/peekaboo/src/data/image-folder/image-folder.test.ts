import { join } from "node:path";
import { liveTensorCount } from "@peekaboo/torch";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { sharedFolder } from "../../../../../tests/support/folder.js";
import { painted, type Rgb, solid, writeFiles } from "../../../../../tests/support/images.js";
import type { Batch } from "../batch.js";
import { epochOrder } from "../order.js";
import { type ImageFolderOptions, openImageFolder } from "./image-folder.js";
import { DecoderPool } from "./pool.js";

const SIZE = 16;
const CLASSES = ["ant", "bee", "cat"];
/** Training images of each class. */
const PER_CLASS = 7;
const COUNT = CLASSES.length * PER_CLASS;
const MEAN = [0.485, 0.456, 0.406];
const STD = [0.229, 0.224, 0.225];
const COLOURS: Rgb[] = [
  [255, 0, 51],
  [0, 102, 255],
  [153, 204, 0],
];

const root = sharedFolder();
let folder: string;
beforeAll(async () => {
  folder = await makeFolder("whole");
});

/** Every training image is another, so that its pixels tell which it is; validation images have their class's colour. */
async function makeFolder(name: string, bad: readonly string[] = []): Promise<string> {
  const path = join(root, name);
  for (const [label, word] of CLASSES.entries()) {
    for (let i = 0; i < PER_CLASS; i++) {
      const image = painted(48, 40, (x, y) => [5 * x, 6 * y, 80 * label + 10 * i]);
      await writeFiles(path, { [`train/${word}/${i}.png`]: image.png().toBuffer() });
    }
    const colour = COLOURS[label] ?? [0, 0, 0];
    for (const i of [0, 1]) await writeFiles(path, { [`val/${word}/${i}.png`]: solid(colour).png().toBuffer() });
  }
  await writeFiles(path, Object.fromEntries(bad.map((file) => [file, Buffer.from("no image")])));
  return path;
}

interface Taken {
  shape: number[];
  labels: number[];
  /** Each image's values. */
  images: number[][];
}

function taken({ input, target }: Batch): Taken {
  const contiguous = input.contiguous();
  const values = Array.from(contiguous.toTypedArray() as Float32Array);
  const labels = Array.from(target.toTypedArray() as BigInt64Array, Number);
  const { shape } = input;
  const length = values.length / labels.length;
  const images = labels.map((_, i) => values.slice(i * length, (i + 1) * length));
  for (const tensor of new Set([input, target, contiguous])) tensor.dispose();
  return { shape: [...shape], labels, images };
}

async function all(batches: AsyncIterable<Batch>): Promise<Taken[]> {
  const results: Taken[] = [];
  for await (const batch of batches) results.push(taken(batch));
  return results;
}

async function withFolder<T>(
  path: string,
  options: ImageFolderOptions,
  use: (images: Awaited<ReturnType<typeof openImageFolder>>) => Promise<T>,
): Promise<T> {
  const images = await openImageFolder(path, { imageSize: SIZE, workers: 2, ...options });
  try {
    return await use(images);
  } finally {
    await images.dispose();
  }
}

const upTo = (n: number) => Int32Array.from({ length: n }, (_, i) => i);

describe("ImageFolderBatches", () => {
  it("gives every validation image once, in order, normalised", async () => {
    await withFolder(folder, {}, async ({ classes, val }) => {
      expect(classes).toEqual(CLASSES);
      expect([val.count, val.imageShape]).toEqual([6, [3, SIZE, SIZE]]);
      const batches = await all(val.plain(4));
      expect(batches.map(({ shape }) => shape)).toEqual([
        [4, 3, SIZE, SIZE],
        [2, 3, SIZE, SIZE],
      ]);
      expect(batches.flatMap(({ labels }) => labels)).toEqual([0, 0, 1, 1, 2, 2]);
      for (const { labels, images } of batches) {
        for (const [i, image] of images.entries()) {
          for (const channel of [0, 1, 2]) {
            const value = (COLOURS[labels[i] ?? 0]?.[channel] ?? 0) / 255;
            const expected = (value - (MEAN[channel] ?? 0)) / (STD[channel] ?? 1);
            const plane = image.slice(channel * SIZE * SIZE, (channel + 1) * SIZE * SIZE);
            for (const pixel of plane) expect(pixel).toBeCloseTo(expected, 5);
          }
        }
      }
    });
  });

  it("gives the same bytes with any number of threads, in order", async () => {
    const order = epochOrder(5, 0, COUNT);
    const runs: Taken[][] = [];
    for (const workers of [0, 1, 2, 3]) {
      runs.push(await withFolder(folder, { workers }, ({ train }) => all(train.training(order, 4, 5, 0))));
    }
    const [first] = runs;
    expect(first?.map(({ labels }) => labels.length)).toEqual([4, 4, 4, 4, 4, 1]);
    expect(first?.flatMap(({ labels }) => labels)).toEqual(Array.from(order, (index) => Math.floor(index / PER_CLASS)));
    for (const run of runs.slice(1)) expect(run).toEqual(first);
  });

  it("augments an image by seed, epoch and its index, whatever its batch", async () => {
    await withFolder(folder, {}, async ({ train }) => {
      const images = (batches: Taken[]) => batches.flatMap((batch) => batch.images);
      const once = images(await all(train.training(upTo(COUNT), 4, 1, 2)));
      const shard = Int32Array.of(20, 3, 11, 3);
      const picked = images(await all(train.training(shard, 3, 1, 2)));
      expect(picked).toEqual(Array.from(shard, (index) => once[index]));
      expect(images(await all(train.training(shard, 3, 1, 3)))).not.toEqual(picked);
      expect(images(await all(train.training(shard, 3, 2, 2)))).not.toEqual(picked);
    });
  });

  it("tests the images that are asked for, as they are for testing", async () => {
    await withFolder(folder, {}, async ({ train }) => {
      const whole = (await all(train.plain(50))).flatMap(({ images }) => images);
      const [some] = await all(train.plain(50, Int32Array.of(9, 2)));
      expect(some?.labels).toEqual([1, 0]);
      expect(some?.images).toEqual([whole[9], whole[2]]);
    });
  });

  it("refuses an index out of range and a batch of nothing", async () => {
    await withFolder(folder, { workers: 0 }, async ({ train }) => {
      await expect(all(train.plain(2, Int32Array.of(COUNT)))).rejects.toThrow(
        `image: expected an integer from 0 to 20`,
      );
      await expect(all(train.plain(2, Int32Array.of(-1)))).rejects.toThrow(RangeError);
      await expect(all(train.plain(0))).rejects.toThrow("batchSize");
      expect(await all(train.plain(2, new Int32Array(0)))).toEqual([]);
    });
  });
});

describe("bad images", () => {
  const bad = ["train/ant/1.png", "train/bee/0.png", "train/cat/6.png", "val/bee/1.png"];
  let damaged: string;
  beforeAll(async () => {
    damaged = await makeFolder("damaged", bad);
  });

  it.each([0, 2])("fail with the first one's name, with %d threads", async (workers) => {
    await withFolder(damaged, { workers }, async ({ train, val }) => {
      const message = `decode image: expected a whole image for "${join(damaged, bad[0] ?? "")}", received a file of another format; `;
      await expect(all(train.plain(8))).rejects.toThrow(message);
      await expect(all(val.plain(8))).rejects.toThrow(join(damaged, "val/bee/1.png"));
      // Up to there the batches are good, and another pass works.
      const good = await all(train.training(Int32Array.of(0, 2, 3), 3, 0, 0));
      expect(good.map(({ labels }) => labels)).toEqual([[0, 0, 0]]);
    });
  });

  it.each([0, 2])("are left out of tests, with one warning a pass, with %d threads", async (workers) => {
    const onWarning = vi.fn();
    await withFolder(damaged, { workers, onBadImage: "skip", onWarning }, async ({ train, val }) => {
      const tested = await all(val.plain(2));
      expect(tested.map(({ labels }) => labels)).toEqual([[0, 0], [1], [2, 2]]);
      expect(onWarning.mock.calls).toEqual([
        [
          `skipped 1 of 6 val images that could not be decoded, the first "${join(damaged, "val/bee/1.png")}" (a file of another format)`,
        ],
      ]);
      const labels = (await all(train.plain(5))).flatMap((batch) => batch.labels);
      expect(labels).toEqual([0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2]);
      expect(onWarning).toHaveBeenCalledTimes(2);
      expect(onWarning.mock.calls[1]?.[0]).toMatch(/^skipped 3 of 21 train images .*train\/ant\/1\.png"/);
    });
  });

  it.each([0, 2])("are replaced by the batch's next good image in training, with %d threads", async (workers) => {
    const onWarning = vi.fn();
    await withFolder(damaged, { workers, onBadImage: "skip", onWarning }, async ({ train }) => {
      // Images 1, 7 and 20 are bad.
      const [first, second, last] = await all(train.training(Int32Array.of(1, 7, 8, 15, 9, 20, 2, 1), 4, 3, 1));
      expect(first?.labels).toEqual([1, 1, 1, 2]);
      expect(first?.images[0]).toEqual(first?.images[2]);
      expect(first?.images[1]).toEqual(first?.images[2]);
      expect(second?.labels).toEqual([1, 0, 0, 1]);
      expect(second?.images[1]).toEqual(second?.images[2]);
      expect(second?.images[3]).toEqual(second?.images[0]);
      expect(second?.images[2]).not.toEqual(second?.images[0]);
      expect(last).toBeUndefined();
      expect(onWarning.mock.calls[0]?.[0]).toMatch(/^skipped 4 of 8 train images/);
    });
  });

  it("leave no batch of their own, and are an error when there is no other", async () => {
    const onWarning = vi.fn();
    await withFolder(damaged, { onBadImage: "skip", onWarning }, async ({ train }) => {
      const batches = await all(train.training(Int32Array.of(1, 7, 3), 2, 0, 0));
      expect(batches.map(({ labels }) => labels)).toEqual([[0]]);
      await expect(all(train.training(Int32Array.of(20, 1), 2, 0, 0))).rejects.toThrow(
        `expected at least one that can be decoded for the 2 train images of "${damaged}", received none; the first was "${join(damaged, "train/cat/6.png")}"`,
      );
    });
  });
});

describe("decoding ahead", () => {
  it("never has more than `prefetch` batches under way, and takes no more memory than theirs", async () => {
    const submit = vi.spyOn(DecoderPool.prototype, "submit");
    const acquire = vi.spyOn(DecoderPool.prototype, "acquire");
    try {
      for (const [prefetch, workers] of [
        [1, 2],
        [3, 2],
        [2, 0],
      ] as const) {
        submit.mockClear();
        acquire.mockClear();
        await withFolder(folder, { prefetch, workers }, async ({ train }) => {
          let used = 0;
          for (let epoch = 0; epoch < 3; epoch++) {
            for await (const batch of train.training(upTo(COUNT), 2, 0, epoch)) {
              used += 1;
              // Whatever has been submitted gets done, and nothing more is.
              await Promise.all(submit.mock.results.map(({ value }) => value));
              expect(submit.mock.calls.length).toBeLessThanOrEqual(used + prefetch);
              taken(batch);
            }
          }
          expect(used).toBe(33);
          expect(submit).toHaveBeenCalledTimes(33);
          expect(new Set(acquire.mock.results.map(({ value }) => value)).size).toBe(prefetch);
        });
      }
    } finally {
      vi.restoreAllMocks();
    }
  });

  it("goes on while the main thread is busy", async () => {
    const acquire = vi.spyOn(DecoderPool.prototype, "acquire");
    try {
      await withFolder(folder, { prefetch: 2 }, async ({ train }) => {
        const batches = train.plain(4)[Symbol.asyncIterator]();
        taken((await batches.next()).value as Batch);
        // Images that were taken from the batches ahead; the threads take one more where there is none left.
        const next = acquire.mock.results.slice(1).map(({ value }) => new Int32Array(value.next));
        const deadline = Date.now() + 30_000;
        // Without a turn of the event loop.
        while (next.some((taken) => Atomics.load(taken, 0) < 4) && Date.now() < deadline);
        for (const taken of next) expect(Atomics.load(taken, 0)).toBeGreaterThanOrEqual(4);
        await batches.return?.(undefined);
      });
    } finally {
      vi.restoreAllMocks();
    }
  });

  it.each([0, 2])("stops where the loop is left, leaving nothing behind, with %d threads", async (workers) => {
    const release = vi.spyOn(DecoderPool.prototype, "release");
    const acquire = vi.spyOn(DecoderPool.prototype, "acquire");
    try {
      await withFolder(folder, { workers, prefetch: 2 }, async ({ train }) => {
        const before = liveTensorCount();
        for await (const batch of train.training(upTo(COUNT), 2, 0, 0)) {
          taken(batch);
          break;
        }
        const thrown = new Error("interrupted");
        const interrupted = async () => {
          for await (const batch of train.training(upTo(COUNT), 2, 0, 0)) {
            taken(batch);
            throw thrown;
          }
        };
        await expect(interrupted()).rejects.toBe(thrown);
        expect(release.mock.calls.length).toBe(acquire.mock.calls.length);
        expect((await all(train.plain(50)))[0]?.labels.length).toBe(COUNT);
        expect(liveTensorCount()).toBe(before);
      });
    } finally {
      vi.restoreAllMocks();
    }
  });

  it("serves two passes at a time", async () => {
    await withFolder(folder, {}, async ({ train, val }) => {
      const alone = [await all(train.plain(2)), await all(val.plain(2))];
      expect(await Promise.all([all(train.plain(2)), all(val.plain(2))])).toEqual(alone);
    });
  });

  it("ends with an error when the images are disposed of", async () => {
    const images = await openImageFolder(folder, { imageSize: SIZE, workers: 2 });
    const loop = async () => {
      for await (const batch of images.train.training(upTo(COUNT), 2, 0, 0)) {
        taken(batch);
        await images.dispose();
      }
    };
    await expect(loop()).rejects.toThrow("disposed of");
    await expect(all(images.val.plain(2))).rejects.toThrow("disposed of");
  });

  it("ends the threads when both splits are disposed of", async () => {
    const images = await openImageFolder(folder, { imageSize: SIZE, workers: 1 });
    await images.train.dispose();
    expect((await all(images.val.plain(6)))[0]?.labels.length).toBe(6);
    await images.val.dispose();
    await expect(all(images.val.plain(2))).rejects.toThrow("disposed of");
  });
});

describe("openImageFolder", () => {
  it.each([
    [{ imageSize: 0 }, "an integer from 1 to 4096 for imageSize, received 0"],
    [{ workers: -1 }, "an integer from 0 to 256 for workers, received -1"],
    [{ prefetch: 1.5 }, "an integer from 1 to 1024 for prefetch, received 1.5"],
  ])("refuses %o", async (options, message) => {
    await expect(openImageFolder(folder, options)).rejects.toThrow(message);
  });

  it("warns of more workers than libvips gets threads", async () => {
    const onWarning = vi.fn();
    const limit = Number(process.env.UV_THREADPOOL_SIZE ?? 4);
    await withFolder(folder, { workers: limit, onWarning }, async () => {});
    expect(onWarning).not.toHaveBeenCalled();
    await withFolder(folder, { workers: limit + 1, onWarning }, async () => {});
    expect(onWarning.mock.calls[0]?.[0]).toContain(`set UV_THREADPOOL_SIZE=${limit + 1}`);
  });
});
