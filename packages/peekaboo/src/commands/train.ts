import { existsSync } from "node:fs";
import { type FileLock, makeFolder } from "@peekaboo/files";
import { printable, quoted, UserError } from "@peekaboo/files/errors";
import type { distributed } from "@peekaboo/torch";
import { type NetworkConfig, networkOptions, restoreWeights } from "../checkpoint/checkpoint.js";
import { CheckpointStore } from "../checkpoint/checkpoint-store.js";
import type { Checkpoint } from "../checkpoint/format.js";
import { loadPretrained, trainedOn } from "../checkpoint/pretrained.js";
import { type Config, sharingFolder, type TrainConfig } from "../config/config.js";
import type { Guard } from "../console/interrupt.js";
import { refuseNonfinite } from "../models/first-nonfinite.js";
import { Network } from "../models/network.js";
import type { Threads } from "../runs/environment.js";
import { environmentOf } from "../runs/environment.js";
import { MetricsWriter } from "../runs/metrics.js";
import { refuseOtherImages } from "../runs/recorded-images.js";
import { openRunFolder, type RunFolder, removeEarlier, removeUnfinished, runFolder } from "../runs/run-folder.js";
import { lockRun } from "../runs/run-lock.js";
import { continued, recordIfWhole, writeRecord } from "../runs/run-record.js";
import { setting } from "../setting.js";
import { openTrackers } from "../trackers/open-trackers.js";
import type { Evaluation } from "../training/evaluation.js";
import { type Ranks, ranksOf } from "../training/ranks.js";
import type { Reporter } from "../training/reporter.js";
import type { RunState } from "../training/run-state.js";
import { type Outcome, prepare, TrainingSession } from "../training/session.js";
import { existingPab, writeBestPab } from "./best-pab.js";
import { chooseThreads, prepareDevice, threadsInWords } from "./device.js";
import { testSources } from "./evaluate-file.js";
import { type RunReport, reportRun } from "./report.js";
import { findStart, isOwn } from "./resume.js";
import { openSources, type Sources } from "./sources.js";

/** What a run has beside its settings. */
export interface RunOptions {
  /** Hears of the run; of several processes, each has its own. */
  reporter: Reporter;
  /** What may stop the run, with its state saved. */
  guard: Guard;
  /** The processes that train together, of which rank 0 alone writes; they stay their maker's. */
  group?: distributed.ProcessGroup | null;
  /** The command line, for config.json. */
  argv?: readonly string[];
  /** How many of the processes share this machine. */
  processes?: number;
  /** The steps at which the run is tested amid an epoch, too. */
  pauses?: readonly number[];
}

/** A run at its end. */
export interface FinishedRun {
  folder: RunFolder;
  /** The data set's. */
  title: string;
  outcome: Outcome;
  /** Whether all was done before. */
  unchanged: boolean;
  /** What rank 0 tells of it. */
  report: RunReport | null;
}

/**
 * Opens the data, builds, prunes and trains the network, and keeps the run in its folder.
 *
 * @throws {UserError} for whatever the user can mend; Interrupted after a signal, with the state saved. Nothing that it made is
 * left open then.
 */
export async function trainRun(config: TrainConfig, options: RunOptions): Promise<FinishedRun> {
  const { reporter, guard, group = null, argv = [], processes = 1, pauses = [] } = options;
  const ranks = ranksOf(group);
  const threads = chooseThreads(config, reporter, processes);
  const device = prepareDevice(config, reporter, processes);
  const folder = openRunFolder(config);
  const shared = sharingFolder(config);
  if (shared !== null) makeFolder("train", shared);
  using _lock = await lockFolder(folder, ranks, options);
  return await trainIn(folder, { config, device, threads, processes, reporter, ranks, guard, argv, pauses });
}

interface Training {
  config: TrainConfig;
  device: string;
  threads: Threads;
  /** How many of this machine train together. */
  processes: number;
  reporter: Reporter;
  ranks: Ranks;
  guard: Guard;
  argv: readonly string[];
  pauses: readonly number[];
}

/** Trains in a folder that is locked. What is there stays as it is until all that may be refused has been tried. */
async function trainIn(folder: RunFolder, training: Training): Promise<FinishedRun> {
  const { config, device, processes, reporter, ranks, guard, pauses } = training;
  const start = findStart(config, folder, reporter);
  await refuseOtherStart(start, ranks);
  if (start !== null) reporter.say?.(startInWords(start));
  await using sources = await openSources({ ...config, processes }, device, { reporter, signal: guard.signal });
  const { train, test, title } = sources;
  if (start !== null) refuseOtherImages(start, sources, { operation: "resume", stage: start.stage });
  using network = await buildNetwork(config, sources, { start, device, reporter });
  const prepared = prepare({ config, network, train, start, ranks }, pauses);
  using _trainer = prepared.trainer;
  const own = start !== null && isOwn(start, folder) ? start : null;
  const { isDone: unchanged } = prepared.state;
  if (unchanged && own === null) throw nothingToTrain(start, prepared.state);
  const writes = ranks.rank === 0;
  const store = new CheckpointStore(folder, config.keep);
  guard.signal.throwIfAborted();
  const offset = own?.progress.metricsBytes ?? 0;
  using metrics = writes && !unchanged ? new MetricsWriter(folder.metrics, { offset }) : null;
  if (writes && own === null) makeRoom(folder, start, training);
  if (writes && own !== null && !unchanged) store.adopt(own);
  using log = metrics === null ? null : await openTrackers(metrics, folder, config);
  const record = writes ? await recorder(folder, own, sources, training) : () => {};
  if (own === null) record();
  if (!unchanged) reporter.say?.(threadsInWords(training.threads));
  const parts = { config, network, train, test, folder, store, metrics: log, ranks, guard, reporter, start };
  const outcome = await new TrainingSession({ ...parts, prepared, record }).run();
  log?.flush();
  const pab = writes ? await pabOf(folder, sources, { unchanged, reporter }) : null;
  const report = writes ? reportRun(config, { title, folder, outcome, unchanged }, pab) : null;
  await log?.finish(folder.picture);
  return { folder, title, outcome, unchanged, report };
}

/** The run's .pab file: that of a finished run stays as it is, unless the run was killed before it could be written. */
async function pabOf(folder: RunFolder, sources: Sources, how: { unchanged: boolean; reporter: Reporter }) {
  const stays = how.unchanged && existsSync(folder.bestPab);
  return stays ? existingPab(folder) : await writeBestPab(folder, sources, how.reporter);
}

function makeRoom(folder: RunFolder, start: Checkpoint | null, { config, reporter }: Training): void {
  if (!removeEarlier(folder, [start?.path, config.loadPretrained])) return;
  reporter.note?.(`${printable(folder.path)} held an earlier run, which this one replaces.`);
}

/** What writes config.json: of a run that goes on, once it has come further. */
async function recorder(
  folder: RunFolder,
  own: Checkpoint | null,
  sources: Sources,
  { config, device, threads, ranks, argv }: Training,
): Promise<() => void> {
  const data = await sources.checksums();
  const part = { config, environment: environmentOf({ device, threads, worldSize: ranks.size, data, argv }) };
  const before = own === null ? null : recordIfWhole(folder.config);
  const record =
    before === null || own === null ? { ...part, earlier: [] } : continued(before, own.progress.step, part);
  return () => writeRecord(folder.config, record);
}

function nothingToTrain(start: Checkpoint | null, { step, totalSteps }: RunState): UserError {
  return new UserError({
    operation: "train",
    argument: start === null ? "the run" : quoted(start.path),
    expected: "a checkpoint after which there is something to train",
    received: `one after step ${step}, of ${totalSteps} asked for`,
    remedy: `give more ${setting("epochs")} or ${setting("maxSteps")}, or the ${setting("expName")} of its own run`,
  });
}

/** The result of a test. */
export interface TestedRun extends Evaluation {
  arch: string;
  dataset: string;
}

/**
 * Tests the network that a checkpoint or a file of weights gives under the other settings, and writes nothing.
 *
 * @throws {UserError} as {@link trainRun}, and when neither is given.
 */
export async function testRun(
  config: TrainConfig,
  { reporter, guard, group = null, processes = 1 }: RunOptions,
): Promise<TestedRun> {
  const { resume, loadPretrained: pretrained, batchSize, arch, dataset } = config;
  const operation = `train ${setting("evaluate")}`;
  chooseThreads(config, reporter, processes);
  const device = prepareDevice(config, reporter, processes);
  // A file that is named wins over a checkpoint that happens to be there.
  const named = resume === "auto" && pretrained !== null;
  const start = named ? null : findStart(config, runFolder(config), reporter);
  if (start === null && pretrained === null) {
    throw new UserError({
      operation: "train",
      argument: setting("evaluate"),
      expected: `a network to test, from ${setting("resume")} or ${setting("loadPretrained")}`,
      received: "neither",
      remedy: "give the file of one",
    });
  }
  const file = start?.path ?? pretrained ?? "";
  await using sources = await openSources(config, device, { reporter, signal: guard.signal });
  const recorded = start ?? (pretrained === null ? null : trainedOn(pretrained));
  if (recorded !== null) refuseOtherImages(recorded, sources, { operation });
  using network = await buildNetwork(config, sources, { start, device, reporter });
  refuseNonfinite(network.module.stateDict(), operation, file);
  const tested = { file, batchSize, network, sources, guard, reporter, ranks: ranksOf(group) };
  const { images, accuracy, top5, loss } = await testSources(operation, tested);
  return { arch, dataset, images, accuracy, top5, loss };
}

/** Rank 0 locks the run folder for all; null on the others, who hear of it when it can't. */
async function lockFolder(
  folder: RunFolder,
  ranks: Ranks,
  { reporter, guard: { signal } }: Pick<RunOptions, "reporter" | "guard">,
): Promise<FileLock | null> {
  const how = { folder: folder.path, onWait: (text: string) => reporter.say?.(text), signal };
  const taken = ranks.rank === 0 ? await attempt(() => lockRun(folder.lock, how)) : null;
  const [failed] = await ranks.sum([taken !== null && "error" in taken ? 1 : 0]);
  if (taken !== null && "error" in taken) throw taken.error;
  if (failed !== 0) throw rankError("rank 0 to get the run folder", "its refusal", "see what it says");
  if (ranks.rank === 0) removeUnfinished(folder);
  return taken === null ? null : taken.value;
}

async function attempt<T>(action: () => Promise<T>): Promise<{ value: T } | { error: unknown }> {
  try {
    return { value: await action() };
  } catch (error) {
    return { error };
  }
}

/**
 * @throws {UserError} on every rank when one of them begins elsewhere than rank 0, as it does without the same run folder.
 */
async function refuseOtherStart(start: Checkpoint | null, ranks: Ranks): Promise<void> {
  const own = start === null ? -1 : start.progress.step;
  const [first = own] = await ranks.sum([ranks.rank === 0 ? own : 0]);
  const [others] = await ranks.sum([own === first ? 0 : 1]);
  if (others === 0) return;
  throw rankError(
    "the same checkpoint on all processes",
    `others on ${others} of them`,
    `let all machines share ${setting("savedir")}`,
  );
}

function rankError(expected: string, received: string, remedy: string): UserError {
  return new UserError({ operation: "train", argument: "the run folder", expected, received, remedy });
}

function startInWords({ path, stage, progress }: Checkpoint): string {
  return stage === "pruned"
    ? `Training the pruned network of ${printable(path)}.`
    : `Resuming ${printable(path)} after step ${progress.step}.`;
}

async function buildNetwork(
  config: NetworkConfig & Config<"initMethod" | "seed" | "loadPretrained">,
  { classes, imageShape }: Sources,
  { start, device, reporter }: { start: Checkpoint | null; device: string; reporter: Reporter },
): Promise<Network> {
  const { initMethod, seed, loadPretrained: pretrained } = config;
  const network = new Network(networkOptions(config, classes.length, imageShape, classes));
  try {
    network.initialise(initMethod, seed);
    if (start !== null) restoreWeights(network, start);
    else if (pretrained !== null) await loadPretrained(network, pretrained, (text) => reporter.note?.(text));
    network.module.to({ device });
    return network;
  } catch (error) {
    network.dispose();
    throw error;
  }
}
