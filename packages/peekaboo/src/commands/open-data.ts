import type { Config } from "../config/config.js";
import { type Dataset, openDataset } from "../data/dataset.js";
import { importDataset } from "../data/import.js";
import type { DataProgress } from "../data/source.js";
import type { Reporter } from "../training/reporter.js";

/** Who hears how data is opened, and what may stop it. */
export interface Opening {
  reporter: Reporter;
  signal?: AbortSignal;
}

/**
 * Opens the data set that a configuration asks for: from the archive or folder `data` that the user gives, else from the
 * cache, else from its sources; reports what takes time.
 * @throws {UserError} as those do.
 */
export async function openData(
  { dataset, data, dataFolder }: Config<"dataset" | "data" | "dataFolder">,
  { reporter, signal }: Opening,
): Promise<Dataset> {
  const options = {
    ...(dataFolder === null ? {} : { folder: dataFolder }),
    ...(signal === undefined ? {} : { signal }),
    onProgress: (progress: DataProgress) => reporter.data?.(dataset, progress),
  };
  try {
    return await (data === null ? openDataset(dataset, options) : importDataset(dataset, data, options));
  } finally {
    reporter.end?.();
  }
}
