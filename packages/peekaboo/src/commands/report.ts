import { existsSync, statSync } from "node:fs";
import { inspectFile } from "../checkpoint/inspect.js";
import type { TrainConfig } from "../config/config.js";
import type { Io } from "../console/io.js";
import { summariseRun } from "../report/summary.js";
import type { RunFolder } from "../runs/run-folder.js";
import { thinLayersInWords } from "../runs/thin-layers.js";
import type { Outcome } from "../training/session.js";

export interface RunReport {
  config: TrainConfig;
  /** The data set's. */
  title: string;
  folder: RunFolder;
  outcome: Outcome;
  /** Whether the run is as it was before, its picture too. */
  unchanged: boolean;
  io: Io;
}

/** Draws the run and prints its summary, for a person or as the last line of JSON. */
export async function reportRun({ config, title, folder, outcome, unchanged, io }: RunReport): Promise<void> {
  const { picture } = folder;
  if (!unchanged || !existsSync(picture)) {
    // The chart library takes half a second to load: not before it is needed.
    const { writeRunPicture } = await import("../report/picture.js");
    writeRunPicture(folder.path, { title: `${config.arch} on ${title}` });
  }
  const { kept, total, layers, idealSize, denseBytes, config: settings } = inspectFile(folder.checkpoint);
  const summary = {
    arch: config.arch,
    width: config.width,
    dataset: config.dataset,
    seed: config.seed,
    steps: outcome.steps,
    epochs: outcome.epochs,
    trainLoss: outcome.trainLoss,
    loss: outcome.final.loss,
    accuracy: outcome.final.accuracy,
    top5: outcome.final.top5,
    bestAccuracy: outcome.bestAccuracy,
    bestEpoch: outcome.bestEpoch,
    testImages: outcome.final.images,
    kept,
    total,
    density: kept / total,
    flips: outcome.flips,
    seconds: outcome.seconds,
    imagesPerSecond: outcome.imagesPerSecond,
    denseBytes,
    idealBytes: idealSize.total,
    checkpointBytes: statSync(folder.checkpoint).size,
    folder: folder.path,
    checkpoint: folder.checkpoint,
    best: folder.best,
    metrics: folder.metrics,
    picture,
  };
  const { pruning } = settings;
  const thin = pruning === null ? null : thinLayersInWords(layers, pruning.minKept);
  const told = summariseRun({ ...summary, dataset: title, idealSize, thin });
  io.stdout.write(config.json ? `${JSON.stringify(summary)}\n` : `\n${told.join("\n")}\n`);
}
