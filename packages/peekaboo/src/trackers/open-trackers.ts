import type { TrainConfig } from "../config/config.js";
import { type MetricsWriter, readMetrics } from "../runs/metrics.js";
import type { RunFolder } from "../runs/run-folder.js";
import { epochsCsv, stepsCsv } from "./csv.js";
import { TrackedMetrics, type Tracker } from "./tracker.js";

/**
 * The metrics of a run, with the trackers that its settings ask for; these begin with the lines that the metrics hold.
 *
 * @throws {UserError} when one of them can't write.
 */
export async function openTrackers(
  metrics: MetricsWriter,
  folder: RunFolder,
  config: TrainConfig,
): Promise<TrackedMetrics> {
  const before = config.log.length === 0 ? [] : readMetrics(metrics.path);
  const trackers: Tracker[] = [];
  const tracked = new TrackedMetrics(metrics, trackers);
  try {
    if (config.log.includes("csv")) {
      trackers.push(stepsCsv(folder));
      trackers.push(epochsCsv(folder));
      for (const line of before) for (const tracker of trackers) tracker.write(line);
    }
    if (config.log.includes("tensorboard")) {
      // Loaded only where it is asked for, as it loads protobufjs.
      const { TensorBoardTracker } = await import("./tensorboard/tensorboard.js");
      trackers.push(new TensorBoardTracker(folder, config, before));
    }
  } catch (error) {
    tracked[Symbol.dispose]();
    throw error;
  }
  return tracked;
}
