// Making batches of images in memory: cropped, flipped and normalised.
import { getThreads, setThreads } from "@peekaboo/torch";
import { Batches } from "#peekaboo/data/resident-batches";
import { cifar10 } from "#peekaboo/data/sets/cifar10";
import { spreadOf } from "../statistics.js";
import type { Bench, Row } from "./bench.js";

const SIDE = 32;
const CHANNELS = 3;
const BATCH = 128;

/** So many images of CIFAR's shape, of bytes at random. */
export function randomImages(count: number): Batches {
  const images = new Uint8Array(count * SIDE * SIDE * CHANNELS).map((_, i) => (i * 2654435761) >>> 24);
  const split = { count, height: SIDE, width: SIDE, channels: CHANNELS, images, labels: new Uint8Array(count) };
  const { normalisation, augmentation } = cifar10;
  return new Batches({ ...normalisation, augmentation }, split, { device: "cpu", limit: null, grey: "rgb" });
}

/** Images a second of an epoch's batches. */
async function rate(images: Batches, epoch: number): Promise<number> {
  const order = Int32Array.from({ length: images.count }, (_, i) => i);
  const begun = performance.now();
  for await (const { input, target } of images.training(order, BATCH, 0, epoch)) {
    input.dispose();
    target.dispose();
  }
  return (1000 * images.count) / (performance.now() - begun);
}

export const data: Bench = {
  name: "data",
  about: "images a second that are cropped, flipped and normalised, on one core and on all",
  async run({ repetitions, quick }) {
    const images = randomImages(quick ? 1000 : 20_000);
    const threads = getThreads();
    const rates = new Map<number, number[]>([...new Set([1, threads])].map((count) => [count, []]));
    try {
      await rate(images, 0);
      for (let i = 1; i <= repetitions; i++) {
        for (const [count, values] of rates) {
          setThreads(count);
          values.push(await rate(images, i));
        }
      }
    } finally {
      setThreads(threads);
      images.dispose();
    }
    const rows = [...rates].map(([count, values]): Row => ({ threads: count, "images/s": spreadOf(values) }));
    const { median } = spreadOf(rates.get(1) ?? []);
    const limit = { what: "augmentation, images/s on a core", value: median, limit: 20_000, bound: "least" } as const;
    return { tables: [{ title: "Batches of 32² images", rows }], limits: [limit] };
  },
};
