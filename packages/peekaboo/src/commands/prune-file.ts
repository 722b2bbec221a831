import { statSync } from "node:fs";
import { UserError } from "@peekaboo/torch";
import { refuseUnwritable } from "@peekaboo/torch/folders";
import { networkOptions, writePruned } from "../checkpoint/checkpoint.js";
import { loadPretrained } from "../checkpoint/pretrained.js";
import type { TrainConfig } from "../config/config.js";
import { InterruptGuard } from "../console/interrupt.js";
import type { Io } from "../console/io.js";
import { Network } from "../models/network.js";
import { pruneShot } from "../training/prune-shot.js";
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
 * Throws UserError without a pruner, and as its parts do, and Interrupted after a signal; then nothing is written.
 */
export async function pruneToFile(config: TrainConfig, file: string, io: Io): Promise<PrunedFile> {
  const { pruning, seed, arch } = config;
  if (pruning === null) {
    throw new UserError({
      operation: "prune",
      argument: "--pruner",
      expected: "a pruner",
      received: "none",
      remedy: "give e.g. SynFlow",
    });
  }
  refuseUnwritable("prune", file);
  const note = (text: string) => void io.stderr.write(`Note: ${text}\n`);
  const guard = new InterruptGuard();
  const threads = chooseThreads(config, note);
  const device = prepareDevice(config, note);
  const sources = await openSources(config, device, io, guard.signal);
  const { classes, imageShape } = sources;
  const network = new Network(networkOptions(config, classes.length, imageShape, classes));
  try {
    network.initialise(config.initMethod, seed);
    if (config.loadPretrained !== null) await loadPretrained(network, config.loadPretrained, note);
    network.module.to({ device });
    io.stderr.write(`${threadsInWords(threads)}\n`);
    const { density } = pruning;
    const shot = { pruning, density, network, source: sources.train, seed, epoch: 0, stream: io.stderr };
    const { report, seconds } = await pruneShot({ ...shot, onRound: () => guard.check() });
    await guard.check();
    await writePruned(file, network, config, report);
    const { kept, total } = report;
    return { file, bytes: statSync(file).size, arch, kept, total, seconds };
  } finally {
    network.dispose();
    await sources.dispose();
    guard.dispose();
  }
}
