import type { TrainConfig } from "../config.js";
import type { BatchSource } from "../data/batch-source.js";
import type { Network } from "../models/network.js";
import type { Checkpoint } from "./checkpoint.js";
import type { CheckpointStore } from "./checkpoint-store.js";
import type { InterruptGuard } from "./interrupt.js";
import type { MetricsWriter } from "./metrics.js";
import type { Ranks } from "./ranks.js";
import type { RunFolder } from "./run-folder.js";

/** What a training session is made of; each of its subjects takes those that it needs. */
export interface SessionParts {
  config: TrainConfig;
  network: Network;
  train: BatchSource;
  test: BatchSource;
  folder: RunFolder;
  store: CheckpointStore;
  /** Null on every rank but 0, which alone writes. */
  metrics: MetricsWriter | null;
  ranks: Ranks;
  guard: InterruptGuard;
  stream: NodeJS.WritableStream;
  /** What to continue; null starts from the beginning. */
  start: Checkpoint | null;
}
