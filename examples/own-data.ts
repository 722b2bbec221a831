// Peek-a-Boo on images of your own: give them as bytes with labels, train, and let the file name new ones.
import { readFileSync } from "node:fs";
import { load } from "@peekaboo/runtime";
import { RandomStream } from "@peekaboo/seed";
import { nn } from "@peekaboo/torch";
import { type Dataset, disguise, imagesOf, prune, pruners, savePab, train } from "peekaboo";

const SIDE = 16;
const SHAPES: Record<string, (x: number, y: number) => boolean> = {
  disc: (x, y) => x * x + y * y < 1,
  square: (x, y) => Math.max(Math.abs(x), Math.abs(y)) < 0.9,
  cross: (x, y) => Math.min(Math.abs(x), Math.abs(y)) < 0.3 && Math.max(Math.abs(x), Math.abs(y)) < 1,
  ring: (x, y) => Math.abs(x * x + y * y - 0.75) < 0.3,
};
const classes = Object.keys(SHAPES);

/** `count` grey images of shapes somewhere, of some size, in noise: what your camera, scanner or archive gives instead. */
function draw(count: number, name: string): Dataset["train"] {
  const images = new Uint8Array(count * SIDE * SIDE);
  const labels = Uint8Array.from({ length: count }, (_, i) => i % classes.length);
  const stream = new RandomStream(0, name);
  const random = (i: number, from: number, to: number) => from + ((to - from) * stream.uint32(i)) / 2 ** 32;
  for (let i = 0; i < count; i++) {
    const [size, left, top] = [random(3 * i, 3.5, 6.5), random(3 * i + 1, 5, 10), random(3 * i + 2, 5, 10)];
    const isInside = SHAPES[classes[labels[i] ?? 0] ?? ""] ?? (() => false);
    for (let p = 0; p < SIDE * SIDE; p++) {
      const [x, y] = [((p % SIDE) - left) / size, (Math.floor(p / SIDE) - top) / size];
      images[i * SIDE * SIDE + p] = (isInside(x, y) ? 150 : 30) + random(3 * count + i * SIDE * SIDE + p, 0, 80);
    }
  }
  return { count, height: SIDE, width: SIDE, channels: 1, images, labels };
}

const dataset: Dataset = {
  name: "shapes",
  title: "Shapes",
  classes,
  mean: [0.4], // Of the pixels, from 0 to 1.
  std: [0.25],
  augmentation: { padding: 1, flip: true },
  train: draw(4000, "train"),
  test: draw(400, "test"),
};

const conv = (inChannels: number, outChannels: number) =>
  new nn.Conv2d({ inChannels, outChannels, kernelSize: 3, stride: 2, padding: 1, bias: false });
const network = disguise(
  new nn.Sequential(
    ...[conv(1, 32), new nn.BatchNorm2d(32), new nn.ReLU(), conv(32, 64), new nn.BatchNorm2d(64), new nn.ReLU()],
    ...[new nn.AdaptiveAvgPool2d(2), new nn.Flatten(), new nn.Linear(256, classes.length)],
  ),
  { imageShape: [1, SIDE, SIDE], classes, name: "Shapes" },
);
await prune(network, { pruner: pruners.synFlow, density: 0.3 });
const data = imagesOf(dataset, { grey: "single" });
const bop = { ar: 1e-2, arSchedule: "linear", arFinal: 1e-4, tau: 1e-5 } as const;
for await (const { number, test } of train(network, { data, epochs: 3, batchSize: 50, bop }))
  console.log(`epoch ${number}: ${test.accuracy} % right`);

const file = process.argv[2] ?? "shapes.pab";
const { bytes } = savePab(network, file, { dataset });
const predictor = await load(readFileSync(file));
const fresh = draw(classes.length, "fresh");
for (const [i, name] of classes.entries()) {
  const pixels = fresh.images.subarray(i * SIDE * SIDE, (i + 1) * SIDE * SIDE);
  const { label } = await predictor.predict({ data: pixels, width: SIDE, height: SIDE });
  console.log(`a ${name}: ${label}`);
}
console.log(`${bytes} bytes`);
