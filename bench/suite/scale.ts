// How a step's time and memory grow with the batch, the channels, the layers and the threads: linearly, where they should.
import { getThreads } from "@peekaboo/torch";
import { THE_PAPERS } from "#peekaboo/layers/psg-conv2d";
import { measureNetwork } from "#peekaboo/models/measure";
import { alternating, median, spreadOf } from "../statistics.js";
import type { Bench, Row, Setting, Table } from "./bench.js";
import { stepFlops } from "./counts.js";
import { Player } from "./player.js";
import { psgName, type Workload, workload } from "./workloads.js";

/** One size of what grows. */
interface Point {
  readonly workload: Workload;
  readonly threads: number;
  /** How large it is, in what the memory should be proportional to. */
  readonly size: number;
}

/** What grows, and its sizes in ascending order. */
interface Series {
  readonly title: string;
  /** What one more of a point's size is; none where memory should not grow. */
  readonly unit?: string;
  readonly points: readonly Point[];
}

function seriesOf(quick: boolean): Series[] {
  const threads = getThreads();
  const point = (workload: Workload, size: number): Point => ({ workload, threads, size });
  const [arch, batch] = ["ResNet20", quick ? 4 : 128];
  const upTo = <Size>(sizes: readonly Size[]) => (quick ? sizes.slice(0, 2) : sizes);
  const counts = Array.from({ length: Math.ceil(Math.log2(threads)) + 1 }, (_, i) => Math.min(2 ** i, threads));
  return [
    {
      title: "Batch",
      unit: "image",
      points: upTo([8, 32, 128, 512]).map((images) => point(workload(arch, images), images)),
    },
    {
      title: "Channels",
      unit: "width of 1",
      points: upTo([0.5, 1, 2, 4]).map((width) => point(workload(arch, batch, width), width)),
    },
    {
      title: "Layers",
      unit: "convolution",
      points: upTo(["ResNet20", "ResNet110"]).map((name) => point(workload(name, batch), layersOf(name))),
    },
    {
      title: "Layers of 1 × 1 and 3 × 3",
      unit: "convolution",
      points: upTo(["ResNet50", "ResNet101", "ResNet152"]).map((name) =>
        point(workload(name, quick ? 2 : 16), layersOf(name)),
      ),
    },
    {
      title: "Threads",
      points: counts.map((count) => ({ workload: workload("ResNet18", quick ? 2 : 64), threads: count, size: count })),
    },
  ];
}

function measured({ arch, width, numClasses, imageShape }: Workload) {
  return measureNetwork({ arch: psgName(arch), width, numClasses, imageShape, psg: THE_PAPERS }).layers;
}

function layersOf(arch: string): number {
  return measured(workload(arch, 1)).length;
}

async function measure({ title, unit, points }: Series, { repetitions, say }: Setting): Promise<Table> {
  say(`scale: ${title.toLowerCase()}`);
  const players = new Map<Point, Player>();
  try {
    for (const one of points) {
      players.set(one, await Player.start("psg", one.workload, { OMP_NUM_THREADS: `${one.threads}` }));
    }
    const steps = new Map(
      points.map((one, i) => [
        `${i}`,
        () =>
          players
            .get(one)
            ?.step()
            .then((time) => time.seconds),
      ]),
    );
    const times = await alternating(steps, repetitions);
    let before: { size: number; peak: number } | undefined;
    const rows = points.map((one, i): Row => {
      const { workload, threads, size } = one;
      const seconds = (times.get(`${i}`) ?? []).filter((value) => value !== undefined);
      const peak = players.get(one)?.peak ?? Number.NaN;
      const more = before === undefined ? null : (peak - before.peak) / (size - before.size) / 1e6;
      before = { size, peak };
      return {
        network: workload.name,
        batch: workload.batch,
        threads,
        seconds: spreadOf(seconds),
        "GFLOP/s": (1e-9 * stepFlops(measured(workload), workload.batch)) / median(seconds),
        "peak memory, MB": peak / 1e6,
        ...(unit === undefined ? {} : { [`MB for one ${unit} more`]: more }),
      };
    });
    return { title: `Scale: ${title.toLowerCase()}`, rows };
  } finally {
    for (const player of players.values()) await player[Symbol.asyncDispose]();
  }
}

export const scale: Bench = {
  name: "scale",
  about: "how a step's time and memory grow with batch, channels, layers and threads",
  async run(setting) {
    const tables: Table[] = [];
    for (const series of seriesOf(setting.quick)) tables.push(await measure(series, setting));
    const [first, ...others] = tables;
    const notes = [
      "Time that is linear in the multiplications has the same GFLOP/s in each line, and memory that is linear the same growth.",
    ];
    return { tables: first === undefined ? [] : [{ ...first, notes }, ...others] };
  },
};
