import { statSync } from "node:fs";
import type { Io } from "../cli/io.js";
import type { TrainConfig } from "../config.js";
import type { Dataset } from "../data/dataset.js";
import { writeRunPicture } from "../report/picture.js";
import { inspectFile } from "./inspect.js";
import type { RunFolder } from "./run-folder.js";
import type { Outcome } from "./session.js";

export interface RunReport {
  config: TrainConfig;
  dataset: Dataset;
  folder: RunFolder;
  outcome: Outcome;
  io: Io;
}

/** Draws the run and prints its summary, for a person or as the last line of JSON. */
export function reportRun({ config, dataset, folder, outcome, io }: RunReport): void {
  const picture = writeRunPicture(folder.path, { title: `${config.arch} on ${dataset.title}` });
  const { kept, total, idealSize, denseBytes } = inspectFile(folder.checkpoint);
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
  if (config.json) io.stdout.write(`${JSON.stringify(summary)}\n`);
}
