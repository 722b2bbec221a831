import type { distributed } from "@peekaboo/torch";
import type { Io } from "../cli/io.js";
import type { TrainConfig } from "../config.js";
import type { ImageShape } from "../models/architecture.js";
import { Network } from "../models/network.js";
import { Batches } from "./batches.js";
import { networkOptions, restoreNetwork } from "./checkpoint.js";
import { prepareDevice } from "./device.js";
import { Interrupted, InterruptGuard } from "./interrupt.js";
import { MetricsWriter } from "./metrics.js";
import { openData } from "./open-data.js";
import { loadPretrained } from "./pretrained.js";
import { reportRun } from "./report.js";
import { findStart, isOwn } from "./resume.js";
import { openRunFolder, removeEarlier, writeConfig } from "./run-folder.js";
import { TrainingSession } from "./session.js";

/**
 * `peekaboo train`: opens the data, builds, prunes and trains the network, and reports.
 *
 * @returns the exit status: 0, or 130 and 143 after SIGINT and SIGTERM with the state saved
 * Throws UserError for whatever the user can mend.
 */
export async function runTrain(
  config: TrainConfig,
  io: Io,
  group: distributed.ProcessGroup | null = null,
): Promise<number> {
  const say = (text: string) => io.stderr.write(`${text}\n`);
  const folder = openRunFolder(config);
  const start = findStart(config, folder);
  if (start !== null) say(`Resuming ${start.path} after step ${start.progress.step}.`);
  else if (folder.used) say(`Note: ${folder.path} holds an earlier run, which this one replaces.`);
  const guard = new InterruptGuard();
  try {
    const device = prepareDevice(config, (text) => say(`Note: ${text}`));
    const dataset = await openData(config, io, guard.signal);
    const { trainLimit, testLimit, grey } = config;
    const train = new Batches(dataset, dataset.train, { device, limit: trainLimit, grey });
    const test = new Batches(dataset, dataset.test, { device, limit: testLimit, grey });
    const network = buildNetwork(config, dataset.classes.length, train.imageShape);
    if (start !== null) restoreNetwork(network, start);
    else if (config.loadPretrained !== null)
      await loadPretrained(network, config.loadPretrained, (text) => say(`Note: ${text}`));
    network.module.to({ device });
    const goesOn = start !== null && isOwn(start, folder);
    if (!goesOn) removeEarlier(folder);
    writeConfig(folder, config, device);
    using metrics = new MetricsWriter(folder.metrics, { offset: goesOn ? start.progress.metricsBytes : 0 });
    const session = new TrainingSession({
      config,
      network,
      train,
      test,
      folder,
      metrics,
      guard,
      stream: io.stderr,
      start,
    });
    const outcome = await session.run();
    metrics.flush();
    await reportRun({ config, dataset, folder, outcome, io });
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

function buildNetwork(config: TrainConfig, numClasses: number, imageShape: ImageShape): Network {
  const network = new Network(networkOptions(config, numClasses, imageShape));
  network.initialise(config.initMethod, config.seed);
  return network;
}
