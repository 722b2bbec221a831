import type { Tensor } from "@peekaboo/torch";
import { afterEach, describe, expect, it } from "vitest";
import { parseConfig } from "../config/config.js";
import { Interrupted } from "../console/interrupt.js";
import type { BatchSource } from "../data/batch-source.js";
import { Network } from "../models/network.js";
import { runFolder } from "../runs/run-folder.js";
import { pruneBeforeEpoch } from "./pruning-shots.js";
import { alone, type Ranks } from "./ranks.js";
import { RunState } from "./run-state.js";

const open: { dispose(): void }[] = [];
afterEach(() => {
  for (const thing of open.splice(0)) thing.dispose();
});

const PRUNING = { pruner: "Mag", density: 0.25, epoch: 2, shots: 2, iterations: 3 };
const source: BatchSource = {
  count: 4,
  imageShape: [3, 8, 8],
  async *training() {},
  async *plain() {},
  dispose() {},
};

/** A run's parts in which only the pruning works, and what comes of it. */
function makeRun({ ranks = alone, signal }: { ranks?: Ranks; signal?: "SIGINT" } = {}) {
  const config = parseConfig({ arch: "ResNet20", width: 0.25, pruning: PRUNING, savedir: "runs", expName: "a" });
  const network = new Network({
    arch: "ResNet20",
    numClasses: 10,
    width: 0.25,
    psg: config.psg,
    imageShape: [3, 8, 8],
  });
  network.initialise("kaiming_normal", 1);
  const guard = { signal: new AbortController().signal, pending: async () => signal, check: async () => {} };
  open.push(network);
  const state = new RunState({ stepsPerEpoch: 1, totalSteps: 3 });
  const copies: string[] = [];
  const lines: { kind: string; shot?: number; density?: number }[] = [];
  const parts = {
    ...{ config, network, ranks, guard, reporter: {}, state, train: source, folder: runFolder(config) },
    metrics: { write: (line: (typeof lines)[number]) => void lines.push(line) },
    checkpoints: { saveCopy: async (path: string) => void copies.push(path) },
  };
  const goOn = () => {
    state.beginSteps();
    state.add({ loss: 1, correct: 0, images: 1, flips: 0, layerFlips: new Map(), lr: 0.1, ar: undefined }, 1);
    state.enterEpoch();
  };
  return { parts, network, state, copies, lines, goOn };
}

/** The fraction that is kept of all masked weights. */
function kept(network: Network): number {
  const masks = [...network.masks().values()];
  const sum = (of: (mask: Tensor) => number) => masks.reduce((total, mask) => total + of(mask), 0);
  return sum((mask) => mask.sum().item()) / sum((mask) => mask.numel);
}

describe("the shots of pruning", () => {
  it("are each taken once, before their epoch", async () => {
    const { parts, network, state, copies, lines, goOn } = makeRun();
    await pruneBeforeEpoch(parts);
    expect([state.shots, network.masks().size]).toEqual([0, 0]);
    goOn();
    await pruneBeforeEpoch(parts);
    expect([state.shots, kept(network)]).toEqual([1, expect.closeTo(0.625, 3)]);
    await pruneBeforeEpoch(parts);
    expect(state.shots).toBe(1);
    goOn();
    await pruneBeforeEpoch(parts);
    expect([state.shots, kept(network)]).toEqual([2, expect.closeTo(0.25, 3)]);
    expect(lines.map(({ kind, shot, density }) => [kind, shot, density])).toEqual([
      ["prune", 0, 0.625],
      ["prune", 1, 0.25],
    ]);
    expect(copies).toEqual(["runs/a/pruned.safetensors", "runs/a/pruned.safetensors"]);
  });

  it("end with Interrupted after the round in which a signal came, uncounted", async () => {
    const { parts, state, copies, goOn } = makeRun({ signal: "SIGINT" });
    goOn();
    await expect(pruneBeforeEpoch(parts)).rejects.toThrow(Interrupted);
    expect([state.shots, copies]).toEqual([0, []]);
  });

  it("are told by rank 0 round by round, then their end, then their masks", async () => {
    const sent: number[][] = [];
    const shared: number[] = [];
    const ranks: Ranks = {
      ...alone,
      size: 2,
      sum: async (values) => {
        sent.push([...values]);
        return [...values];
      },
      share: async (tensors) => void shared.push([...tensors].length),
    };
    const { parts, network, goOn } = makeRun({ ranks });
    goOn();
    await pruneBeforeEpoch(parts);
    const layers = network.prunable().size;
    const round = [0, 0];
    expect(sent).toEqual([round, round, round, [1, 0], new Array(layers).fill(1)]);
    expect(shared).toEqual([layers]);
  });

  it("are waited for by other ranks, which take the masks of rank 0", async () => {
    let rounds = 0;
    const ranks: Ranks = {
      ...alone,
      rank: 1,
      size: 2,
      sum: async (values) => (values.length > 2 ? values.map(() => 1) : [++rounds === 4 ? 1 : 0, 0]),
      share: async (tensors) => {
        for (const [, tensor] of tensors) tensor.zero_();
      },
    };
    const { parts, network, state, goOn } = makeRun({ ranks });
    goOn();
    await pruneBeforeEpoch(parts);
    expect([rounds, state.shots, network.masks().size]).toEqual([4, 1, network.prunable().size]);
    expect(kept(network)).toBe(0);
  });
});
