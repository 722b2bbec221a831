// A training step in each way, in processes of their own that take turns; and the most memory of each.

import { THE_PAPERS } from "#peekaboo/layers/psg-conv2d";
import { measureNetwork } from "#peekaboo/models/measure";
import { alternating, median, spreadOf } from "../statistics.js";
import type { Bench, Limit, Row, Setting } from "./bench.js";
import { stepFlops } from "./counts.js";
import { Player, pythonWithTorch, type StepTime } from "./player.js";
import { WAYS, type Way } from "./trained.js";
import { psgName, title, type Workload } from "./workloads.js";

const TITLES: Readonly<Record<Way | "python", string>> = {
  psg: "PSG with Bop, ours",
  exact: "the same, --conv exact",
  stock: "dense, libtorch's operators",
  composed: "PSG, five convolutions",
  python: "dense, PyTorch in Python",
};

/** Each way's steps, and its most bytes. */
type Measured = ReadonlyMap<string, { seconds: readonly number[]; processor: readonly number[]; peak: number }>;

async function takeTurns(workload: Workload, { repetitions, say }: Setting, python?: string): Promise<Measured> {
  const starts = WAYS.map((way) => Player.start(way, workload));
  const players = await Promise.all(python === undefined ? starts : [...starts, Player.startPython(python, workload)]);
  try {
    say(`${title(workload)}: ${players.map(({ name }) => name).join(", ")} take turns`);
    const times = await alternating(new Map(players.map((player) => [player.name, () => player.step()])), repetitions);
    return new Map(
      players.map(({ name, peak }) => {
        const steps = times.get(name) ?? [];
        const of = (key: keyof StepTime) => steps.map((step) => step[key]);
        return [name, { seconds: of("seconds"), processor: of("processor"), peak }];
      }),
    );
  } finally {
    for (const player of players) await player[Symbol.asyncDispose]();
  }
}

function rowsOf(workload: Workload, measured: Measured, peak: number): Row[] {
  const { arch, width, numClasses, imageShape, batch } = workload;
  const { layers } = measureNetwork({ arch: psgName(arch), width, numClasses, imageShape, psg: THE_PAPERS });
  const gflop = 1e-9 * stepFlops(layers, batch);
  return [...measured].map(([name, { seconds, processor, peak: bytes }]) => ({
    network: title(workload),
    step: TITLES[name as Way],
    seconds: spreadOf(seconds),
    "of all threads, s": spreadOf(processor),
    "images/s": batch / median(seconds),
    "GFLOP/s": gflop / median(seconds),
    "% of the peak": (1e11 * gflop) / median(seconds) / peak,
    "peak memory, MB": bytes / 1e6,
  }));
}

/** The ratios that have limits, of the networks that these are for. */
function limitsOf({ arch, width }: Workload, measured: Measured): Limit[] {
  if (!["ResNet20", "ResNet18"].includes(arch) || width !== 1) return [];
  const [psg, exact, stock, composed] = WAYS.map((way) => measured.get(way));
  if (psg === undefined || exact === undefined || stock === undefined || composed === undefined) return [];
  const ratio = (other: typeof psg, own = psg) => median(own.seconds) / median(other.seconds);
  const most = (what: string, value: number, limit: number) =>
    ({ what: `${arch}: ${what}`, value, limit, bound: "most" }) as const;
  return [
    most("PSG step / dense step of libtorch", ratio(stock), 0.6),
    most("PSG step, --conv exact / dense step of libtorch", ratio(stock, exact), 0.6),
    most("PSG step / five convolutions", ratio(composed), 0.25),
    most("PSG step, --conv exact / five convolutions", ratio(composed, exact), 0.25),
    most("peak memory of PSG / five convolutions", psg.peak / composed.peak, 0.6),
  ];
}

export const steps: Bench = {
  name: "steps",
  about:
    "a training step: ours, libtorch's dense one, the original's five convolutions, PyTorch's where python3 has it",
  async run(setting) {
    const python = pythonWithTorch();
    if (python === undefined) setting.say("no python3 here has torch: its dense step is left out");
    const { flops } = await setting.peaks();
    const [rows, limits]: [Row[], Limit[]] = [[], []];
    for (const workload of setting.workloads) {
      const measured = await takeTurns(workload, setting, python);
      rows.push(...rowsOf(workload, measured, flops));
      limits.push(...limitsOf(workload, measured));
    }
    const notes = [
      "GFLOP/s count the three products that a step needs, also where five are computed. Ours has its own layout and allocator, the others libtorch's.",
    ];
    return { tables: [{ title: "A training step", notes, rows }], limits };
  },
};
