import type { Io } from "../cli/io.js";
import { createProgress } from "../cli/progress.js";
import { IMAGE_FOLDER } from "../config/options.js";
import type { EvaluateOptions, TrainConfig } from "../config.js";
import { loadNetwork } from "./checkpoint.js";
import { prepareDevice } from "./device.js";
import { evaluate } from "./evaluation.js";
import { openSources } from "./sources.js";

/** What `peekaboo evaluate` found. */
export interface FileEvaluation {
  file: string;
  arch: string;
  dataset: string;
  images: number;
  /** Percent. */
  accuracy: number;
  /** How often the class was among the five likeliest, in percent. */
  top5: number;
  /** Mean cross-entropy. */
  loss: number;
}

/** Tests a checkpoint on the test images of the data set that it was trained on. Throws UserError as its parts do. */
export async function evaluateFile(file: string, options: EvaluateOptions, io: Io): Promise<FileEvaluation> {
  const device = prepareDevice(options, (text) => io.stderr.write(`Note: ${text}\n`));
  const { network, config } = loadNetwork(file);
  network.module.to({ device });
  const { data, testLimit, dataFolder, workers, onBadImage, batchSize } = options;
  const own = {
    ...config,
    data: data ?? folderOf(config),
    trainLimit: null,
    testLimit,
    dataFolder,
    workers,
    onBadImage,
  };
  const { test, dispose } = await openSources(own, device, io);
  const bar = createProgress({ total: test.count, title: "test", stream: io.stderr });
  try {
    const result = await evaluate(network, test, { batchSize, onBatch: (done) => bar.update(done) });
    return { file, arch: config.arch, dataset: config.dataset, ...result };
  } finally {
    bar.stop();
    await dispose();
    network.dispose();
  }
}

/** An archive that was imported is in the cache; a folder of images is where it was. */
function folderOf({ dataset, data }: TrainConfig): string | null {
  return dataset === IMAGE_FOLDER ? data : null;
}
