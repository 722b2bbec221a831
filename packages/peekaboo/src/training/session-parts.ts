import type { CheckpointStore } from "../checkpoint/checkpoint-store.js";
import type { Checkpoint } from "../checkpoint/format.js";
import type { TrainConfig } from "../config/config.js";
import type { Guard } from "../console/interrupt.js";
import type { BatchSource } from "../data/batch-source.js";
import type { Network } from "../models/network.js";
import type { MetricsLog } from "../runs/metrics.js";
import type { RunFolder } from "../runs/run-folder.js";
import type { Ranks } from "./ranks.js";
import type { Reporter } from "./reporter.js";
import type { RunState } from "./run-state.js";
import type { Trainer } from "./trainer.js";

/** What a training session is made of; each of its subjects takes those that it needs. */
export interface SessionParts {
  config: TrainConfig;
  network: Network;
  train: BatchSource;
  test: BatchSource;
  folder: RunFolder;
  store: CheckpointStore;
  /** Null on every rank but 0, which alone writes. */
  metrics: MetricsLog | null;
  ranks: Ranks;
  guard: Guard;
  reporter: Reporter;
  /** What to continue; null starts from the beginning. */
  start: Checkpoint | null;
  /** What the session would make of the others, where they were to be tried before. */
  prepared?: Prepared;
  /** Called before the first file of the run that this session writes. */
  record?(): void;
}

/** What trains the network, and where the run stands. */
export interface Prepared {
  trainer: Trainer;
  state: RunState;
}
