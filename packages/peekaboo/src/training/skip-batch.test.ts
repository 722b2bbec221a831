// Whole runs on made-up images, of which some batches hold infinity.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readSafetensors } from "@peekaboo/files";
import { Tensor } from "@peekaboo/torch";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { restoreWeights } from "../checkpoint/checkpoint.js";
import { CheckpointStore } from "../checkpoint/checkpoint-store.js";
import { readCheckpoint } from "../checkpoint/format.js";
import { parseConfig } from "../config/config.js";
import { Interrupted } from "../console/interrupt.js";
import type { BatchSource } from "../data/batch-source.js";
import { Network } from "../models/network.js";
import { MetricsWriter, readMetrics } from "../runs/metrics.js";
import { openRunFolder } from "../runs/run-folder.js";
import { alone } from "./ranks.js";
import { TrainingSession } from "./session.js";

let savedir: string;
beforeAll(() => {
  savedir = mkdtempSync(join(tmpdir(), "peekaboo-skip-"));
});
afterAll(() => rmSync(savedir, { recursive: true, force: true }));

const SIDE = 8;
const BATCH = 4;
const COUNT = 24;

/** Images that follow from their number; the training batches in `broken` (by epoch and batch, e.g. "0/2") hold infinity. */
function source(broken: (place: string) => boolean): BatchSource {
  const batch = (order: Int32Array, bad: boolean) => {
    const pixels = Float32Array.from({ length: order.length * 3 * SIDE * SIDE }, (_, i) => {
      return Math.sin((order[Math.floor(i / (3 * SIDE * SIDE))] ?? 0) * 7 + i * 0.3);
    });
    if (bad) pixels[5] = Number.POSITIVE_INFINITY;
    return {
      input: Tensor.from(pixels, { shape: [order.length, 3, SIDE, SIDE] }),
      target: Tensor.from(BigInt64Array.from(order, (n) => BigInt(n % 10))),
    };
  };
  return {
    count: COUNT,
    imageShape: [3, SIDE, SIDE],
    async *training(order, size, _seed, epoch) {
      // A resumed epoch gives its last batches only.
      const all = COUNT / size;
      const left = order.length / size;
      for (let i = 0; i < left; i++) {
        yield batch(order.subarray(i * size, (i + 1) * size), broken(`${epoch}/${all - left + i}`));
      }
    },
    async *plain(size, order = Int32Array.from({ length: COUNT }, (_, i) => i)) {
      for (let i = 0; i < order.length; i += size) yield batch(order.subarray(i, i + size), false);
    },
    dispose() {},
  };
}

interface Run {
  broken?(place: string): boolean;
  /** Continues from the run folder's checkpoint. */
  resume?: boolean;
  /** Stops, as a signal would, at the first look after so many. */
  stopAfter?: number;
}

/** Trains for two epochs of six steps; gives the warnings. */
async function run(name: string, { broken = () => false, resume = false, stopAfter }: Run = {}): Promise<string> {
  const config = parseConfig({
    ...{
      arch: "PsgResNet20",
      width: 0.25,
      initMethod: "kaiming_normal",
      optimizer: "BOP",
      epochs: 2,
      onNan: "skip-batch",
    },
    ...{ batchSize: BATCH, savedir, expName: name, bop: { ar: 1e-2, tau: 1e-6 }, sgd: { lr: 0.01 } },
    psg: { takeSign: false, sparsify: true, msbBits: 8, msbBitsGrad: 16 },
  });
  const folder = openRunFolder(config);
  const start = resume ? readCheckpoint(folder.checkpoint) : null;
  const network = new Network({
    arch: config.arch,
    numClasses: 10,
    width: 0.25,
    psg: config.psg,
    imageShape: [3, 8, 8],
  });
  network.initialise("kaiming_normal", 1);
  if (start !== null) restoreWeights(network, start);
  let said = "";
  const warn = (text: string) => {
    said += `${text}\n`;
  };
  let looks = 0;
  const pending = async () => (stopAfter !== undefined && ++looks > stopAfter ? ("SIGTERM" as const) : undefined);
  const guard = { signal: new AbortController().signal, pending, check: async () => {} };
  using metrics = new MetricsWriter(folder.metrics, { offset: start?.progress.metricsBytes ?? 0 });
  const sources = { train: source(broken), test: source(() => false) };
  try {
    await new TrainingSession({
      config,
      network,
      ...sources,
      folder,
      metrics,
      ranks: alone,
      store: new CheckpointStore(folder, config.keep),
      guard,
      reporter: { warn },
      start,
    }).run();
  } finally {
    network.dispose();
  }
  return said;
}

const metricsOf = (name: string) =>
  readMetrics(join(savedir, name, "metrics.jsonl")).map((line) => ({ ...line, seconds: 0, imagesPerSecond: 0 }));
const tensorsOf = (name: string) =>
  [...readSafetensors(join(savedir, name, "checkpoint.safetensors")).tensors].map(([key, { data }]) => [
    key,
    Buffer.from(data).toString("base64"),
  ]);

const SOME = (place: string) => ["0/1", "0/4", "1/0"].includes(place);

describe("--on-nan skip-batch", () => {
  it("counts skipped steps in the metrics and tells of them once an epoch", async () => {
    const said = await run("whole", { broken: SOME });
    const lines = metricsOf("whole");
    expect(
      lines
        .filter(({ kind }) => kind === "step" || kind === "skip")
        .map((line) => [line.kind, "step" in line && line.step]),
    ).toEqual(Array.from({ length: 12 }, (_, i) => [[1, 4, 6].includes(i) ? "skip" : "step", i + 1]));
    expect(lines.find(({ kind }) => kind === "skip")).toMatchObject({
      epoch: 0,
      step: 2,
      what: "loss",
      where: "the images",
    });
    const epochs = lines.flatMap((line) => (line.kind === "epoch" ? [[line.step, line.skipped]] : []));
    expect(epochs).toEqual([
      [6, 2],
      [12, 1],
    ]);
    expect(said.match(/skipped \d of \d batches of epoch \d.*/g)).toEqual([
      "skipped 2 of 6 batches of epoch 1, whose loss or gradient was not finite, first in step 2 (loss: the images). Lower `sgd.lr` if they grow in number.",
      "skipped 1 of 6 batches of epoch 2, whose loss or gradient was not finite, first in step 7 (loss: the images). Lower `sgd.lr` if they grow in number.",
    ]);
  });

  it.each([2, 5, 7])(
    "resumes bit for bit from a run stopped after %i steps, skipped ones included",
    async (stopAfter) => {
      const name = `parts-${stopAfter}`;
      await expect(run(name, { broken: SOME, stopAfter })).rejects.toThrow(Interrupted);
      await run(name, { broken: SOME, resume: true });
      expect(tensorsOf(name)).toEqual(tensorsOf("whole"));
      expect(metricsOf(name)).toEqual(metricsOf("whole"));
    },
  );

  it("stops with an error when an epoch has no other batches, the last checkpoint intact", async () => {
    await expect(run("lost", { broken: () => true })).rejects.toThrow(
      "train: expected one whose loss and gradient are finite for 6 batches in a row, received none, lately for the images",
    );
    expect(readCheckpoint(join(savedir, "lost", "checkpoint.safetensors")).progress.step).toBe(0);
  });
});
