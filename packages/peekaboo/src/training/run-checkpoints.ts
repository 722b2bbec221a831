import type { Tensor } from "@peekaboo/torch";
import { encodeCheckpoint, namedMasks, writeCheckpoint } from "../checkpoint/checkpoint.js";
import { CheckpointClock } from "../config/checkpoint-interval.js";
import type { Network } from "../models/network.js";
import type { RunState } from "./run-state.js";
import type { SessionParts } from "./session-parts.js";
import type { Trainer } from "./trainer.js";

type Parts = Pick<SessionParts, "config" | "network" | "store" | "metrics" | "ranks" | "record"> & {
  trainer: Trainer;
  state: RunState;
};

/** Saves a run: rank 0 writes, once all ranks hold the same network. */
export class RunCheckpoints {
  readonly #parts: Parts;
  readonly #clock: CheckpointClock;
  #recorded = false;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#clock = new CheckpointClock(parts.config.checkpointEvery);
  }

  /** Whether to save within an epoch, after this many steps; false on every rank but 0, which decides for all. */
  isDue(step: number): boolean {
    return this.#parts.ranks.rank === 0 && this.#clock.isDue(step);
  }

  /** Saves the checkpoint from which the run goes on. */
  async saveLatest(): Promise<void> {
    const { store, config, trainer, state } = this.#parts;
    await this.#save(() => store.save(encodeCheckpoint(trainer, config, this.#progress()), state.step));
    state.wasSaved();
    this.#clock.reset();
  }

  /** Saves a copy of the run as it stands. */
  async saveCopy(path: string): Promise<void> {
    const { config, trainer } = this.#parts;
    await this.#save(() => writeCheckpoint(path, trainer, config, this.#progress()));
  }

  /** @throws {UserError} on every rank unless all hold the network of rank 0. */
  async prove(): Promise<void> {
    await this.#parts.ranks.prove(learned(this.#parts.network));
  }

  async #save(write: () => Promise<void>): Promise<void> {
    const { ranks, metrics } = this.#parts;
    await this.prove();
    if (ranks.rank !== 0) return;
    if (!this.#recorded) this.#parts.record?.();
    this.#recorded = true;
    metrics?.flush();
    await write();
  }

  #progress() {
    return this.#parts.state.progress(this.#parts.metrics?.offset ?? 0);
  }
}

/** What must be equal on every rank; BatchNorm's statistics are each rank's own. */
function learned(network: Network): (readonly [string, Tensor])[] {
  return [...network.module.namedParameters(), ...namedMasks(network)];
}
