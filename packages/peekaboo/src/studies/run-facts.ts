import { existsSync, statSync } from "node:fs";
import { readSafetensorsHeader } from "@peekaboo/files";
import { quoted, UserError } from "@peekaboo/files/errors";
import { networkOptions } from "../checkpoint/checkpoint.js";
import { recordedImages } from "../checkpoint/format.js";
import { inspectFile } from "../checkpoint/inspect.js";
import type { TrainConfig } from "../config/config.js";
import { measureNetwork } from "../models/measure.js";
import type { Environment } from "../runs/environment.js";
import { type LayerKept, type Metrics, readMetrics } from "../runs/metrics.js";
import type { RunFolder } from "../runs/run-folder.js";
import { readRecord } from "../runs/run-record.js";
import { progressOf } from "./study-folder.js";

/** What a finished run came to. */
export interface RunFacts {
  /** Test accuracy in percent: the highest, and at the end. */
  readonly best: number;
  readonly last: number;
  /** Prunable weights kept, and all of them. */
  readonly kept: number;
  readonly total: number;
  /** Multiply-accumulates of kept weights for one image, and of all; the layers that are never pruned are among both. */
  readonly macs: number;
  readonly denseMacs: number;
  /** Bytes of `best.pab`; null where there is none, the weights having been trained. */
  readonly pabBytes: number | null;
  /** Bytes of the network at each layer's entropy, without a file's models. */
  readonly idealBytes: number;
  /** Sign changes in all. */
  readonly flips: number;
  /** Of pruning and training, without tests. */
  readonly seconds: number;
  readonly steps: number;
  readonly layers: readonly LayerKept[];
  /** Mean sign changes a step, by step; none without Bop. */
  readonly flipsByStep: readonly (readonly [step: number, flips: number])[];
  readonly environment: Environment;
}

/**
 * Reads what a finished run came to, from its files.
 *
 * @throws {UserError} when one is missing or damaged.
 */
export function readFacts(files: RunFolder): RunFacts {
  const metrics = readMetrics(files.metrics);
  const tests = metrics.filter((line) => line.kind === "eval");
  const last = tests.at(-1)?.accuracy;
  if (last === undefined) throw untested(files);
  const { kept, total, layers, idealSize, config } = inspectFile(files.checkpoint);
  const { step, flips } = progressOf(files);
  return {
    best: Math.max(...tests.map(({ accuracy }) => accuracy)),
    last,
    kept,
    total,
    ...macsOf(files.checkpoint, config, layers),
    pabBytes: existsSync(files.bestPab) ? statSync(files.bestPab).size : null,
    idealBytes: idealSize.total,
    flips,
    seconds: secondsIn(metrics),
    steps: step,
    layers: layers.map(({ name, kept: own, total: all }) => ({ name, kept: own, total: all })),
    flipsByStep: flipsIn(metrics),
    environment: readRecord(files.config).environment,
  };
}

function untested({ metrics }: RunFolder): UserError {
  return new UserError({
    operation: "report",
    argument: quoted(metrics),
    expected: "the metrics of a run that was tested",
    received: "no test",
    remedy: "finish the run",
  });
}

function secondsIn(metrics: readonly Metrics[]): number {
  return metrics.reduce((sum, line) => sum + (line.kind === "prune" || line.kind === "epoch" ? line.seconds : 0), 0);
}

function flipsIn(metrics: readonly Metrics[]): [step: number, flips: number][] {
  const steps = metrics.filter((line) => line.kind === "step");
  return steps.some(({ ar, flips }) => ar !== undefined || flips > 0)
    ? steps.map(({ step, flips }) => [step, flips])
    : [];
}

/** The same networks are measured once, whatever was kept of them. */
const measured = new Map<string, ReturnType<typeof measureNetwork>>();

function macsOf(
  checkpoint: string,
  config: TrainConfig,
  layers: readonly LayerKept[],
): Pick<RunFacts, "macs" | "denseMacs"> {
  const { numClasses, imageShape } = recordedImages(checkpoint, readSafetensorsHeader(checkpoint));
  const options = networkOptions(config, numClasses, imageShape);
  const key = JSON.stringify(options);
  const network = measured.get(key) ?? measureNetwork(options);
  measured.set(key, network);
  const densities = new Map(layers.map(({ name, kept, total }) => [name, kept / total]));
  const macs = network.layers.reduce((sum, layer) => sum + layer.macs * (densities.get(layer.name) ?? 1), 0);
  return { macs: Math.round(macs), denseMacs: network.macs };
}
