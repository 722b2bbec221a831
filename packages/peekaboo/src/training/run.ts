import { type distributed, UserError } from "@peekaboo/torch";
import type { Io } from "../cli/io.js";
import type { TrainConfig } from "../config.js";
import { Network } from "../models/network.js";
import { type Checkpoint, networkOptions, restoreNetwork } from "./checkpoint.js";
import { prepareDevice } from "./device.js";
import { environmentOf } from "./environment.js";
import { evaluate } from "./evaluation.js";
import { Interrupted, InterruptGuard } from "./interrupt.js";
import { MetricsWriter } from "./metrics.js";
import { loadPretrained } from "./pretrained.js";
import { type Ranks, ranksOf } from "./ranks.js";
import { reportRun } from "./report.js";
import { findStart, isOwn } from "./resume.js";
import { openRunFolder, removeEarlier, runFolder, writeConfig } from "./run-folder.js";
import { TrainingSession } from "./session.js";
import { openSources, type Sources } from "./sources.js";

/**
 * `peekaboo train`: opens the data, builds, prunes and trains the network, and reports.
 *
 * @param group the processes that train together; left to it, and ended with it. Rank 0 alone writes and reports.
 * @param argv the command line, for config.json
 * @returns the exit status: 0, or 130 and 143 after SIGINT and SIGTERM with the state saved
 * Throws UserError for whatever the user can mend.
 */
export async function runTrain(
  config: TrainConfig,
  io: Io,
  group: distributed.ProcessGroup | null = null,
  argv: readonly string[] = [],
): Promise<number> {
  const say = (text: string) => void io.stderr.write(`${text}\n`);
  const ranks = ranksOf(group);
  const guard = new InterruptGuard();
  try {
    const device = prepareDevice(config, (text) => say(`Note: ${text}`));
    if (config.evaluate) return await testOnly(config, device, io, ranks);
    const folder = openRunFolder(config);
    const start = findStart(config, folder);
    if (start !== null) say(startInWords(start));
    else if (folder.used) say(`Note: ${folder.path} holds an earlier run, which this one replaces.`);
    const sources = await openSources(config, device, io, guard.signal);
    const network = await buildNetwork(config, sources, start, device, say);
    const goesOn = start !== null && isOwn(start, folder);
    const writes = ranks.rank === 0;
    if (writes && !goesOn) removeEarlier(folder);
    if (writes) {
      const data = await sources.checksums();
      writeConfig(folder, config, environmentOf({ device, worldSize: ranks.size, data, argv }));
    }
    const offset = goesOn ? start.progress.metricsBytes : 0;
    using metrics = writes ? new MetricsWriter(folder.metrics, { offset }) : null;
    const { train, test } = sources;
    const parts = { config, network, train, test, folder, metrics, ranks, guard, stream: io.stderr, start };
    const outcome = await new TrainingSession(parts).run();
    metrics?.flush();
    await sources.dispose();
    if (writes) await reportRun({ config, title: sources.title, folder, outcome, io });
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

/** `--evaluate`: tests the network that the other flags give, and writes nothing. */
async function testOnly(config: TrainConfig, device: string, io: Io, ranks: Ranks): Promise<number> {
  const { resume, loadPretrained: pretrained } = config;
  if (resume === "never" && pretrained === null) {
    throw new UserError({
      operation: "train",
      argument: "--evaluate",
      expected: "a network to test, from --resume or --load-pretrained",
      received: "neither",
      remedy: "give the file of one",
    });
  }
  const start = findStart(config, runFolder(config));
  const sources = await openSources(config, device, io);
  const network = await buildNetwork(config, sources, start, device, (text) => void io.stderr.write(`${text}\n`));
  const { loss, accuracy, top5, images } = await evaluate(network, sources.test, {
    batchSize: config.batchSize,
    ranks,
  });
  await sources.dispose();
  const { arch, dataset } = config;
  const told = `${arch} on ${images} test images of ${dataset}: accuracy ${accuracy.toFixed(2)} %, top-5 ${top5.toFixed(2)} %, loss ${loss.toFixed(4)}`;
  const summary = JSON.stringify({ arch, dataset, images, accuracy, top5, loss });
  if (ranks.rank === 0) io.stdout.write(`${config.json ? summary : told}\n`);
  return 0;
}

function startInWords({ path, stage, progress }: Checkpoint): string {
  return stage === "pruned"
    ? `Training the pruned network of ${path}.`
    : `Resuming ${path} after step ${progress.step}.`;
}

async function buildNetwork(
  config: TrainConfig,
  { classes, imageShape }: Sources,
  start: Checkpoint | null,
  device: string,
  say: (text: string) => void,
): Promise<Network> {
  const network = new Network(networkOptions(config, classes.length, imageShape));
  network.initialise(config.initMethod, config.seed);
  if (start !== null) restoreNetwork(network, start);
  else if (config.loadPretrained !== null) {
    await loadPretrained(network, config.loadPretrained, (text) => say(`Note: ${text}`));
  }
  network.module.to({ device });
  return network;
}
