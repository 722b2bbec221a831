import { statSync } from "node:fs";
import { refuseUnwritable } from "@peekaboo/files";
import { printable } from "@peekaboo/files/errors";
import { UserError } from "@peekaboo/torch";
import { networkOptions, writePruned } from "../checkpoint/checkpoint.js";
import { loadPretrained } from "../checkpoint/pretrained.js";
import type { TrainConfig } from "../config/config.js";
import type { Guard } from "../console/interrupt.js";
import { Network } from "../models/network.js";
import { setting } from "../setting.js";
import { pruneShot } from "../training/prune-shot.js";
import type { Reporter } from "../training/reporter.js";
import { chooseThreads, prepareDevice, threadsInWords } from "./device.js";
import { openSources } from "./sources.js";

/** What `peekaboo prune` wrote. */
export interface PrunedFile {
  file: string;
  bytes: number;
  arch: string;
  kept: number;
  total: number;
  seconds: number;
}

/**
 * `peekaboo prune`: prunes a random network, or a pretrained one, to the density asked for, and writes it to `file`.
 *
 * @throws {UserError} without a pruner, and as its parts do, and Interrupted after a signal; then nothing is written.
 */
export async function pruneToFile(
  config: TrainConfig,
  file: string,
  { reporter, guard }: { reporter: Reporter; guard: Guard },
): Promise<PrunedFile> {
  const { pruning, seed, arch } = config;
  if (pruning === null) {
    throw new UserError({
      operation: "prune",
      argument: setting("pruning.pruner"),
      expected: "a pruner",
      received: "none",
      remedy: "give e.g. SynFlow",
    });
  }
  refuseUnwritable("prune", file);
  const threads = chooseThreads(config, reporter);
  const device = prepareDevice(config, reporter);
  await using sources = await openSources(config, device, { reporter, signal: guard.signal });
  const { classes, imageShape } = sources;
  using network = new Network(networkOptions(config, classes.length, imageShape, classes));
  draw(network, config, reporter);
  const { loadPretrained: pretrained } = config;
  if (pretrained !== null) await loadPretrained(network, pretrained, (text) => reporter.note?.(text));
  network.module.to({ device });
  reporter.say?.(threadsInWords(threads));
  const { density } = pruning;
  const shot = { pruning, density, network, source: sources.train, seed, epoch: 0, reporter };
  const { report, seconds } = await pruneShot({ ...shot, onRound: () => guard.check() });
  await guard.check();
  if (report.total >= MANY) reporter.say?.(`Writing ${printable(file)}.`);
  await writePruned(file, network, config, report);
  const { kept, total } = report;
  return { file, bytes: statSync(file).size, arch, kept, total, seconds };
}

/** As many weights take a second or two to draw. */
const MANY = 2e7;

/** Gives a network its random weights, and tells how far it is where that takes long. */
function draw(network: Network, { initMethod, seed }: TrainConfig, reporter: Reporter): void {
  const total = [...network.module.namedParameters()].reduce(
    (sum, [, { numel, shape }]) => sum + (shape.length > 1 ? numel : 0),
    0,
  );
  if (total < MANY) {
    network.initialise(initMethod, seed);
    return;
  }
  reporter.begin?.({ kind: "draw", total });
  try {
    network.initialise(initMethod, seed, (done) => reporter.advance?.(done));
  } finally {
    reporter.end?.();
  }
}
