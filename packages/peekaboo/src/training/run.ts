import { fetchProgress } from "../cli/data-progress.js";
import type { Io } from "../cli/io.js";
import type { TrainConfig } from "../config.js";
import { type Dataset, openDataset } from "../data/dataset.js";
import { Network } from "../models/network.js";
import { Batches } from "./batches.js";
import { prepareDevice } from "./device.js";
import { Interrupted, InterruptGuard } from "./interrupt.js";
import { MetricsWriter } from "./metrics.js";
import { loadPretrained } from "./pretrained.js";
import { reportRun } from "./report.js";
import { openRunFolder, writeConfig } from "./run-folder.js";
import { TrainingSession } from "./session.js";

/**
 * `peekaboo train`: opens the data, builds, prunes and trains the network, and reports.
 *
 * @returns the exit status: 0, or 130 and 143 after SIGINT and SIGTERM with the state saved
 * Throws UserError for whatever the user can mend.
 */
export async function runTrain(config: TrainConfig, io: Io): Promise<number> {
  const say = (text: string) => io.stderr.write(`${text}\n`);
  const folder = openRunFolder(config);
  if (folder.used) say(`Note: ${folder.path} holds an earlier run, which this one replaces.`);
  const guard = new InterruptGuard();
  try {
    const device = prepareDevice(config, (text) => say(`Note: ${text}`));
    const dataset = await openData(config, io, guard);
    const network = await buildNetwork(config, dataset, device, (text) => say(`Note: ${text}`));
    writeConfig(folder, config, device);
    using metrics = new MetricsWriter(folder.metrics);
    const session = new TrainingSession({
      config,
      network,
      train: new Batches(dataset, dataset.train, device, config.trainLimit),
      test: new Batches(dataset, dataset.test, device, config.testLimit),
      folder,
      metrics,
      guard,
      stream: io.stderr,
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
  }
}

async function openData(config: TrainConfig, io: Io, guard: InterruptGuard): Promise<Dataset> {
  const progress = fetchProgress(config.dataset, io.stderr);
  try {
    return await openDataset(config.dataset, {
      ...(config.dataFolder === null ? {} : { folder: config.dataFolder }),
      onProgress: progress.onProgress,
      signal: guard.signal,
    });
  } finally {
    progress.stop();
  }
}

async function buildNetwork(
  config: TrainConfig,
  dataset: Dataset,
  device: string,
  note: (text: string) => void,
): Promise<Network> {
  const { arch, width, psg, initMethod, seed, loadPretrained: file } = config;
  const network = new Network({ arch, width, psg, numClasses: dataset.classes.length });
  network.initialise(initMethod, seed);
  if (file !== null) await loadPretrained(network, file, note);
  network.module.to({ device });
  return network;
}
