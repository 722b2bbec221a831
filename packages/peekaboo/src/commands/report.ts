import { existsSync, statSync } from "node:fs";
import { inspectFile } from "../checkpoint/inspect.js";
import type { Config } from "../config/config.js";
import { writeRunPicture } from "../report/picture.js";
import { summariseRun } from "../report/summary.js";
import { thinLayersInWords } from "../runs/thin-layers.js";
import type { WrittenPab } from "./best-pab.js";
import type { FinishedRun } from "./train.js";

/** What is told at a run's end: for programs, and for people. */
export interface RunReport {
  summary: Readonly<Record<string, unknown>>;
  lines: string[];
}

/** Draws the run and sums it up. */
export function reportRun(
  config: Config<"arch" | "width" | "dataset" | "seed">,
  run: Omit<FinishedRun, "report">,
  pab: WrittenPab | null,
): RunReport {
  const { title, folder, outcome, unchanged } = run;
  const { picture } = folder;
  if (!unchanged || !existsSync(picture)) writeRunPicture(folder.path, { title: `${config.arch} on ${title}` });
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
    ...(pab === null ? {} : { pab: pab.path, pabBytes: pab.bytes }),
  };
  const { pruning } = settings;
  const thin = pruning === null ? null : thinLayersInWords(layers, pruning.minKept);
  return { summary, lines: summariseRun({ ...summary, dataset: title, idealSize, thin, pab }) };
}
