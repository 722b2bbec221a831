import { basename, dirname, join, resolve } from "node:path";
import { readSafetensorsHeader } from "@peekaboo/files";
import { quoted, UserError } from "@peekaboo/files/errors";
import { type Checkpoint, readCheckpoint } from "../checkpoint/format.js";
import { isOver, type Progress } from "../checkpoint/progress.js";
import type { Config, TrainConfig } from "../config/config.js";
import { IMAGE_FOLDER } from "../config/options.js";
import { differences, inJson } from "../runs/differences.js";
import { type Metrics, readMetrics } from "../runs/metrics.js";
import { findImageFolder } from "../runs/recorded-images.js";
import { type RunFolder, runFolder } from "../runs/run-folder.js";
import { type RunRecord, readRecord } from "../runs/run-record.js";
import { setting } from "../setting.js";

const OPERATION = "reproduce";

/** A run that is over: its files, what it was asked for and what it ran on. */
export interface RecordedRun extends RunRecord {
  folder: RunFolder;
  metrics: Metrics[];
  /** The steps amid an epoch after which it was tested. */
  pauses: readonly number[];
}

/**
 * Reads the folder of a finished run.
 *
 * @throws {UserError} when a file is missing or damaged, the run isn't over, or its parts ran so that it can't be repeated.
 */
export function readRun(path: string): RecordedRun {
  const whole = resolve(path);
  const folder = runFolder({ savedir: dirname(whole), expName: basename(whole) });
  const record = readRecord(folder.config);
  const metrics = readMetrics(folder.metrics);
  const { stage, progress } = readCheckpoint(folder.checkpoint);
  refuseUnfinished(folder, record.config, stage, progress);
  refuseMixed(folder, record);
  return { folder, ...record, metrics: metricsOf(folder, metrics, progress), pauses: progress.pauses ?? [] };
}

/** Only the end of a run can be compared. */
function refuseUnfinished(
  { path }: RunFolder,
  config: Config<"epochs" | "maxSteps">,
  stage: Checkpoint["stage"],
  progress: Progress,
): void {
  if (stage === "training" && isOver(progress, config)) return;
  throw new UserError({
    operation: OPERATION,
    argument: quoted(path),
    expected: "a run that has come to its end",
    received: stage === "pruned" ? "a network that was only pruned" : `one that stopped after step ${progress.step}`,
    remedy: `finish it with ${setting("resume")}, or give another`,
  });
}

/** What sums, and so rounding, depend on. */
const DECISIVE = ["device", "threads", "worldSize", "data"] as const;

function refuseMixed({ path }: RunFolder, { environment, earlier }: RunRecord): void {
  for (const { steps, environment: before } of earlier.toReversed()) {
    const name = DECISIVE.find(
      (key) => before[key] !== undefined && differences(before[key], environment[key]).length > 0,
    );
    if (name === undefined || environment[name] === undefined) continue;
    const [was, is] = name === "data" ? ["other images", "these"] : [inJson(before[name]), inJson(environment[name])];
    throw new UserError({
      operation: OPERATION,
      argument: quoted(path),
      expected: `a run of the same ${name} from its beginning to its end`,
      received: `one that was resumed with others (${was} up to step ${steps}, ${is} in the end)`,
      remedy: "its sums were rounded in two ways, so that no run repeats every bit: train it anew in one way",
    });
  }
}

/** The lines up to the run's last test. @throws {UserError} unless they tell of every step of that run. */
function metricsOf({ metrics: path }: RunFolder, lines: Metrics[], { step: last }: Progress): Metrics[] {
  const end = lines.findLastIndex((line) => line.kind === "eval" && line.step === last);
  const steps = lines
    .slice(0, end)
    .flatMap((line) => (line.kind === "step" || line.kind === "skip" ? [line.step] : []));
  const first = steps[0] ?? 1;
  const odd = steps.find((step, i) => step !== first + i);
  if (end >= 0 && odd === undefined && steps.at(-1) === last) return lines.slice(0, end + 1);
  const received =
    odd === undefined
      ? `steps up to ${steps.at(-1) ?? 0}${end < 0 ? " and no such test" : ""}`
      : `step ${odd} out of its order`;
  throw new UserError({
    operation: OPERATION,
    argument: quoted(path),
    expected: `the metrics of the run beside it: each step up to ${last}, and the test after that`,
    received,
    remedy: "put the run's own file back, or give another run",
  });
}

/** Where a run is to be repeated. */
export interface Place {
  /** Default: beside the run. */
  savedir: string | null;
}

/**
 * The settings that repeat a run in another folder, `NAME-reproduced`: from its beginning, if it was interrupted or not, with
 * as many threads as it had.
 */
export function settingsToRepeat(run: RecordedRun, { savedir }: Place): TrainConfig {
  const { folder, config, environment, earlier } = run;
  // Where none was skipped, it makes no difference.
  const skips = [{ config }, ...earlier].some((part) => part.config.onNan === "skip-batch");
  return {
    ...config,
    onNan: skips ? "skip-batch" : config.onNan,
    savedir: savedir ?? dirname(folder.path),
    expName: `${basename(folder.path)}-reproduced`,
    sharePruning: null,
    resume: resumedFromItself(config, folder) ? "never" : config.resume,
    // What was imported is in the data folder.
    data: config.dataset === IMAGE_FOLDER ? imagesOf(folder, config) : null,
    threads: config.threads ?? environment.threads ?? null,
    // A restart would add flags of train's to the command line.
    distributed: { ...config.distributed, maxRestarts: 0 },
    evaluate: false,
    json: false,
    log: [],
  };
}

/** Where the run's image folder is now. @throws {UserError} when it isn't found. */
function imagesOf({ checkpoint: path }: RunFolder, config: Config<"data" | "savedir" | "expName">): string {
  const { folder = null } = readSafetensorsHeader(path).metadata;
  return findImageFolder({ path, config, folder }, "put it at one of them");
}

/** A run that went on from its own checkpoint began without one. */
function resumedFromItself({ resume }: Config<"resume">, { path, best, checkpoint, pruned }: RunFolder): boolean {
  if (resume === "auto" || resume === "never") return true;
  const own = [best, checkpoint, pruned].map((file) => resolve(join(path, basename(file))));
  return own.includes(resolve(resume));
}
