import type { distributed } from "@peekaboo/torch";
import { printable, quoted, UserError } from "@peekaboo/torch/errors";
import { type Checkpoint, networkOptions, restoreNetwork } from "../checkpoint/checkpoint.js";
import { CheckpointStore } from "../checkpoint/checkpoint-store.js";
import { loadPretrained, trainedOn } from "../checkpoint/pretrained.js";
import type { TrainConfig } from "../config/config.js";
import { Interrupted, InterruptGuard } from "../console/interrupt.js";
import type { Io } from "../console/io.js";
import { refuseNonfinite } from "../models/first-nonfinite.js";
import { Network } from "../models/network.js";
import type { Threads } from "../runs/environment.js";
import { environmentOf } from "../runs/environment.js";
import { MetricsWriter } from "../runs/metrics.js";
import { refuseOtherImages } from "../runs/recorded-images.js";
import { openRunFolder, type RunFolder, removeEarlier, removeUnfinished, runFolder } from "../runs/run-folder.js";
import { RunLock } from "../runs/run-lock.js";
import { continued, recordIfWhole, writeRecord } from "../runs/run-record.js";
import { type Ranks, ranksOf } from "../training/ranks.js";
import type { RunState } from "../training/run-state.js";
import { prepare, TrainingSession } from "../training/session.js";
import { chooseThreads, prepareDevice, threadsInWords } from "./device.js";
import { testSources } from "./evaluate-file.js";
import { reportRun } from "./report.js";
import { findStart, isOwn } from "./resume.js";
import { openSources, type Sources } from "./sources.js";

/** Options of {@link runTrain}. */
export interface RunOptions {
  /** The processes that train together; left to it, and ended with it. Rank 0 alone writes and reports. */
  group?: distributed.ProcessGroup | null;
  /** The command line, for config.json. */
  argv?: readonly string[];
  /** How many of the processes share this machine. */
  processes?: number;
  /** The steps at which the run is tested amid an epoch, too. */
  pauses?: readonly number[];
}

/**
 * `peekaboo train`: opens the data, builds, prunes and trains the network, and reports.
 *
 * @returns the exit status: 0, or 129, 130 and 143 after SIGHUP, SIGINT and SIGTERM with the state saved
 * Throws UserError for whatever the user can mend.
 */
export async function runTrain(
  config: TrainConfig,
  io: Io,
  { group = null, argv = [], processes = 1, pauses = [] }: RunOptions = {},
): Promise<number> {
  const say = (text: string) => void io.stderr.write(`${text}\n`);
  const ranks = ranksOf(group);
  const guard = new InterruptGuard();
  try {
    const note = (text: string) => say(`Note: ${text}`);
    const threads = chooseThreads(config, note, processes);
    const device = prepareDevice(config, note, processes);
    if (config.evaluate) return await testOnly(config, device, io, { ranks, guard });
    const folder = openRunFolder(config);
    using _lock = await lockFolder(folder, ranks, { say, signal: guard.signal });
    await trainIn(folder, { config, device, threads, processes, io, say, ranks, guard, argv, pauses });
    return 0;
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
    say(`Stopped by ${error.signal}: ${error.message}`);
    return error.exitStatus;
  } finally {
    guard.dispose();
    group?.destroy();
  }
}

interface Training {
  config: TrainConfig;
  device: string;
  threads: Threads;
  /** How many of this machine train together. */
  processes: number;
  io: Io;
  say(text: string): void;
  ranks: Ranks;
  guard: InterruptGuard;
  argv: readonly string[];
  pauses: readonly number[];
}

/** Trains in a folder that is locked. What is there stays as it is until all that may be refused has been tried. */
async function trainIn(folder: RunFolder, training: Training): Promise<void> {
  const { config, device, processes, io, say, ranks, guard, pauses } = training;
  const start = findStart(config, folder, (text) => say(`Note: ${text}`));
  await refuseOtherStart(start, ranks);
  if (start !== null) say(startInWords(start));
  const sources = await openSources({ ...config, processes }, device, io, guard.signal);
  const { train, test, title } = sources;
  if (start !== null) refuseOtherImages(start, sources, { operation: "resume", stage: start.stage });
  const network = await buildNetwork(config, sources, start, device, say);
  const prepared = prepare({ config, network, train, start, ranks }, pauses);
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
  const record = writes ? await recorder(folder, own, sources, training) : () => {};
  if (own === null) record();
  if (!unchanged) say(threadsInWords(training.threads));
  const parts = { config, network, train, test, folder, store, metrics, ranks, guard, stream: io.stderr, start };
  const outcome = await new TrainingSession({ ...parts, prepared, record }).run();
  metrics?.flush();
  await sources.dispose();
  if (writes) await reportRun({ config, title, folder, outcome, unchanged, io });
}

function makeRoom(folder: RunFolder, start: Checkpoint | null, { config, say }: Training): void {
  if (!removeEarlier(folder, [start?.path, config.loadPretrained])) return;
  say(`Note: ${printable(folder.path)} held an earlier run, which this one replaces.`);
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
    remedy: "give more --epochs or --max-steps, or the --exp-name of its own run",
  });
}

/** `--evaluate`: tests the network that the other flags give, and writes nothing. */
async function testOnly(
  config: TrainConfig,
  device: string,
  io: Io,
  { ranks, guard }: { ranks: Ranks; guard: InterruptGuard },
): Promise<number> {
  const { resume, loadPretrained: pretrained } = config;
  const say = (text: string) => void io.stderr.write(`${text}\n`);
  // A file that is named wins over a checkpoint that happens to be there.
  const named = resume === "auto" && pretrained !== null;
  const start = named ? null : findStart(config, runFolder(config), (text) => say(`Note: ${text}`));
  if (start === null && pretrained === null) {
    throw new UserError({
      operation: "train",
      argument: "--evaluate",
      expected: "a network to test, from --resume or --load-pretrained",
      received: "neither",
      remedy: "give the file of one",
    });
  }
  const file = start?.path ?? pretrained ?? "";
  const sources = await openSources(config, device, io, guard.signal);
  const recorded = start ?? (pretrained === null ? null : trainedOn(pretrained));
  if (recorded !== null) refuseOtherImages(recorded, sources, { operation: "train --evaluate" });
  const network = await buildNetwork(config, sources, start, device, say);
  refuseNonfinite(network.module.stateDict(), "train --evaluate", file);
  const { batchSize } = config;
  const tested = { file, batchSize, network, sources, guard, stream: io.stderr, ranks };
  const { loss, accuracy, top5, images } = await testSources("train --evaluate", tested);
  const { arch, dataset } = config;
  const told = `${arch} on ${images} test images of ${dataset}: accuracy ${accuracy.toFixed(2)} %, top-5 ${top5.toFixed(2)} %, loss ${loss.toFixed(4)}`;
  const summary = JSON.stringify({ arch, dataset, images, accuracy, top5, loss });
  if (ranks.rank === 0) io.stdout.write(`${config.json ? summary : told}\n`);
  return 0;
}

/** Rank 0 locks the run folder for all; null on the others, who hear of it when it can't. */
async function lockFolder(
  folder: RunFolder,
  ranks: Ranks,
  { say, signal }: { say(text: string): void; signal: AbortSignal },
): Promise<RunLock | null> {
  const { path } = folder;
  const taken =
    ranks.rank === 0 ? await attempt(() => RunLock.acquire(folder.lock, { folder: path, onWait: say, signal })) : null;
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

/** Throws UserError on every rank when one of them begins elsewhere than rank 0, as it does without the same run folder. */
async function refuseOtherStart(start: Checkpoint | null, ranks: Ranks): Promise<void> {
  const own = start === null ? -1 : start.progress.step;
  const [first = own] = await ranks.sum([ranks.rank === 0 ? own : 0]);
  const [others] = await ranks.sum([own === first ? 0 : 1]);
  if (others === 0) return;
  throw rankError(
    "the same checkpoint on all processes",
    `others on ${others} of them`,
    "let all machines share --savedir",
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
  config: TrainConfig,
  { classes, imageShape }: Sources,
  start: Checkpoint | null,
  device: string,
  say: (text: string) => void,
): Promise<Network> {
  const network = new Network(networkOptions(config, classes.length, imageShape, classes));
  network.initialise(config.initMethod, config.seed);
  if (start !== null) restoreNetwork(network, start);
  else if (config.loadPretrained !== null) {
    await loadPretrained(network, config.loadPretrained, (text) => say(`Note: ${text}`));
  }
  network.module.to({ device });
  return network;
}
