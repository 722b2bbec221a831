// Images a second from a folder of JPEG files (500 × 375, some 100 kB): decoding and RandomResizedCrop(224), by the loader and by sharp alone; and the loader's memory.
// node bench/dist/images.js [WORKERS=2] [ROUNDS=9] [MEMORY_IMAGES=10000]
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RandomStream } from "@peekaboo/seed";
import sharp from "sharp";
import { drawCrop } from "#peekaboo/data/image-folder/crop";
import { type ImageFolder, openImageFolder } from "#peekaboo/data/image-folder/image-folder";
import { pabOps } from "#peekaboo/native/library";
import { machine, median, spread } from "./statistics.js";

const [workers = "2", rounds = "9", memoryImages = "10000"] = process.argv.slice(2);
const WIDTH = 500;
const HEIGHT = 375;
const SIZE = 224;
/** Images in the folder, and in a measured pass. */
const COUNT = 300;
const PASS = 2 * COUNT;
const BATCH = 50;
const NOISE = 60;

const fraction = (word = 0) => word / 2 ** 32;

/** Waves of colour under noise, which as a JPEG of quality 90 takes about as many bytes as a photograph. */
async function makeImage(path: string, number: number): Promise<number> {
  const stream = new RandomStream(number, "bench/images");
  const words = new Uint32Array(WIDTH * HEIGHT);
  stream.fillUint32(words);
  const [phase, tilt] = [fraction(words[0]) * 6, fraction(words[1]) * 3];
  const pixels = new Uint8ClampedArray(WIDTH * HEIGHT * 3);
  for (let i = 0; i < WIDTH * HEIGHT; i++) {
    const [x, y, word] = [i % WIDTH, Math.floor(i / WIDTH), words[i] ?? 0];
    for (let channel = 0; channel < 3; channel++) {
      const wave = 80 * Math.sin(x / (30 + 10 * channel) + phase) + 40 * Math.cos(y / 25 + tilt * channel);
      pixels[3 * i + channel] = 128 + wave + NOISE * (((word >>> (8 * channel)) & 255) / 255 - 0.5);
    }
  }
  const image = sharp(pixels, { raw: { width: WIDTH, height: HEIGHT, channels: 3 } });
  const { size } = await image.jpeg({ quality: 90 }).toFile(path);
  return size;
}

async function makeFolder(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "peekaboo-bench-images-"));
  let bytes = 0;
  for (const split of ["train", "val"]) mkdirSync(join(folder, split, "only"), { recursive: true });
  for (let i = 0; i < COUNT; i++) bytes += await makeImage(join(folder, "train", "only", `${1000 + i}.jpg`), i);
  await makeImage(join(folder, "val", "only", "0.jpg"), COUNT);
  console.log(`${COUNT} images of ${(bytes / COUNT / 1000).toFixed(0)} kB`);
  return folder;
}

/** A pass of the loader over `count` images, the folder's again and again, each at its own crop. */
async function loaderPass(images: ImageFolder, epoch: number, count = PASS): Promise<void> {
  const order = Int32Array.from({ length: count }, (_, i) => i % COUNT);
  for await (const { input, target } of images.train.training(order, BATCH, 0, epoch)) {
    input.dispose();
    target.dispose();
  }
}

/** How sharp alone is used: how many images at a time, and whether it reads the files itself. */
interface Usage {
  concurrency: number;
  content: (path: string) => string | Buffer;
}

async function sharpPass(folder: string, epoch: number, { concurrency, content }: Usage): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let i = next++; i < PASS; i = next++) {
      const { box, flip } = drawCrop(0, epoch, i % COUNT, WIDTH, HEIGHT);
      const image = sharp(content(join(folder, "train", "only", `${1000 + (i % COUNT)}.jpg`))).extract(box);
      await image.resize(SIZE, SIZE, { fit: "fill", kernel: "linear" }).flop(flip).raw().toBuffer();
    }
  };
  await Promise.all(Array.from({ length: concurrency }, lane));
}

/** Images a second, and processor milliseconds an image. */
async function rate(pass: () => Promise<void>): Promise<{ rate: number; cpu: number }> {
  const begun = performance.now();
  const cpuBefore = process.cpuUsage();
  await pass();
  const { user, system } = process.cpuUsage(cpuBefore);
  return { rate: (PASS * 1000) / (performance.now() - begun), cpu: (user + system) / 1000 / PASS };
}

/** The usage with the highest rate in three rounds. */
async function bestUsage(folder: string): Promise<Usage> {
  const usages = [2, 4].flatMap((concurrency) =>
    [readFileSync, (path: string) => path].map((content) => ({ concurrency, content })),
  );
  const rates = usages.map((): number[] => []);
  for (let round = 0; round < 3; round++) {
    for (const [i, usage] of usages.entries()) {
      rates[i]?.push((await rate(() => sharpPass(folder, round, usage))).rate);
    }
  }
  const medians = rates.map(median);
  const best = usages[medians.indexOf(Math.max(...medians))];
  if (best === undefined) throw new Error("no usage of sharp");
  const how = best.content === readFileSync ? "from buffers" : "from paths";
  console.log(`sharp alone is fastest with ${best.concurrency} images at a time, ${how}`);
  return best;
}

// As a training run does.
pabOps().reuseMemory(true);
const folder = await makeFolder();
const images = await openImageFolder(folder, { workers: Number(workers), imageSize: SIZE });
try {
  await loaderPass(images, 0);
  const usage = await bestUsage(folder);
  const ours: Awaited<ReturnType<typeof rate>>[] = [];
  const theirs: typeof ours = [];
  for (let round = 1; round <= Number(rounds); round++) {
    // Each first in turn, so that a neighbour's load falls on both.
    if (round % 2 === 0) theirs.push(await rate(() => sharpPass(folder, round, usage)));
    ours.push(await rate(() => loaderPass(images, round)));
    if (round % 2 === 1) theirs.push(await rate(() => sharpPass(folder, round, usage)));
  }
  const ratios = ours.map(({ rate }, i) => rate / (theirs[i]?.rate ?? Number.NaN));
  const show = (name: string, results: typeof ours) => {
    const rates = results.map(({ rate }) => rate);
    const cpu = spread(
      results.map(({ cpu }) => cpu),
      { unit: "ms", digits: 2 },
    );
    console.log(`${name}: ${spread(rates, { unit: "images/s", digits: 0 })}, processor time an image ${cpu}`);
    return median(rates);
  };
  const quotient = show(`loader with ${workers} workers`, ours) / show("sharp alone", theirs);
  console.log(
    `ratio of the medians ${quotient.toFixed(3)}, of each pair ${spread(ratios, { unit: "" })}; ${machine()}`,
  );
  for (let done = 0; done < Number(memoryImages); done += 1000) {
    await loaderPass(images, done, 1000);
    console.log(`after ${done + 1000} images: ${(process.memoryUsage.rss() / 1e6).toFixed(0)} MB`);
  }
} finally {
  await images.dispose();
  rmSync(folder, { recursive: true });
}
