import type { TrainConfig } from "../config/config.js";
import { fetchProgress } from "../console/data-progress.js";
import type { Io } from "../console/io.js";
import { type Dataset, openDataset } from "../data/dataset.js";
import { importDataset } from "../data/import.js";

/**
 * Opens the data set that a configuration asks for: from the archive or folder `data` that the user gives, else from the
 * cache, else from its sources; tells on stderr what takes time. Throws UserError as those do.
 */
export async function openData(
  { dataset, data, dataFolder }: Pick<TrainConfig, "dataset" | "data" | "dataFolder">,
  io: Io,
  signal?: AbortSignal,
): Promise<Dataset> {
  const { onProgress, stop } = fetchProgress(dataset, io.stderr);
  const options = {
    ...(dataFolder === null ? {} : { folder: dataFolder }),
    ...(signal === undefined ? {} : { signal }),
    onProgress,
  };
  try {
    return await (data === null ? openDataset(dataset, options) : importDataset(dataset, data, options));
  } finally {
    stop();
  }
}
