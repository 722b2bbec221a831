import type { Io } from "../cli/io.js";
import type { TrainConfig } from "../config.js";
import type { Dataset } from "../data/dataset.js";
import { Network } from "../models/network.js";
import { Batches } from "./batches.js";
import { prepareDevice } from "./device.js";
import { Interrupted, InterruptGuard } from "./interrupt.js";
import { MetricsWriter } from "./metrics.js";
import { openData } from "./open-data.js";
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
    const dataset = await openData(config, io, guard.signal);
    const network = buildNetwork(config, dataset, device);
    writeConfig(folder, config, device);
    using metrics = new MetricsWriter(folder.metrics);
    const session = new TrainingSession({
      config,
      network,
      train: new Batches(dataset, dataset.train, { device, limit: config.trainLimit, grey: config.grey }),
      test: new Batches(dataset, dataset.test, { device, limit: config.testLimit, grey: config.grey }),
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

function buildNetwork(config: TrainConfig, dataset: Dataset, device: string): Network {
  const { arch, width, psg, initMethod, seed } = config;
  const network = new Network({ arch, width, psg, numClasses: dataset.classes.length });
  network.initialise(initMethod, seed);
  network.module.to({ device });
  return network;
}
