import type { Io } from "../cli/io.js";
import { createProgress } from "../cli/progress.js";
import type { EvaluateOptions } from "../config.js";
import { Batches } from "./batches.js";
import { loadNetwork } from "./checkpoint.js";
import { prepareDevice } from "./device.js";
import { evaluate } from "./evaluation.js";
import { openData } from "./open-data.js";

/** What `peekaboo evaluate` found. */
export interface FileEvaluation {
  file: string;
  arch: string;
  dataset: string;
  images: number;
  /** Percent. */
  accuracy: number;
  /** Mean cross-entropy. */
  loss: number;
}

/** Tests a checkpoint on the test images of the data set that it was trained on. Throws UserError as its parts do. */
export async function evaluateFile(file: string, options: EvaluateOptions, io: Io): Promise<FileEvaluation> {
  const device = prepareDevice(options, (text) => io.stderr.write(`Note: ${text}\n`));
  const { network, config } = loadNetwork(file);
  network.module.to({ device });
  const dataset = await openData({ ...options, dataset: config.dataset }, io);
  const batches = new Batches(dataset, dataset.test, { device, limit: options.testLimit, grey: config.grey });
  const bar = createProgress({ total: batches.count, title: "test", stream: io.stderr });
  try {
    const result = await evaluate(network, batches, options.batchSize, (done) => bar.update(done));
    return { file, arch: config.arch, dataset: config.dataset, ...result };
  } finally {
    bar.stop();
    batches.dispose();
    network.dispose();
  }
}
