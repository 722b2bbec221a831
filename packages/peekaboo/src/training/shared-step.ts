import type { Config } from "../config/config.js";
import type { Batch } from "../data/batch.js";

import { NonfiniteError } from "./nonfinite-error.js";
import type { Position } from "./rates.js";
import type { RunCheckpoints } from "./run-checkpoints.js";
import type { SessionParts } from "./session-parts.js";
import type { StepResult, Trainer } from "./trainer.js";

/** What a step came to, and whether a signal has come to a rank meanwhile. */
export type Stepped = (StepResult | { skipped: NonfiniteError }) & { stop: boolean; save: boolean };

type Parts = Pick<SessionParts, "ranks" | "guard"> & {
  config: Config<"onNan">;
  trainer: Pick<Trainer, "step">;
  checkpoints: Pick<RunCheckpoints, "isDue">;
};

/** One optimiser step that all ranks take together, each on its share of the batch. */
export class SharedStep {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /**
   * Takes the step on this rank's batch, which it uses up; the figures are those of all ranks together.
   *
   * @throws {NonfiniteError} where such batches aren't skipped.
   */
  async take(batch: Batch, position: Position): Promise<Stepped> {
    const { ranks, guard, checkpoints } = this.#parts;
    const own = this.#ownStep(batch, position);
    const signal = (await guard.pending()) === undefined ? 0 : 1;
    const due = checkpoints.isDue(position.step + 1) ? 1 : 0;
    if (ranks.size === 1) return { ...own, stop: signal > 0, save: due > 0 };
    if ("skipped" in own) {
      const [stop = 0, save = 0] = await ranks.sum([signal, due]);
      return { ...own, stop: stop > 0, save: save > 0 };
    }
    const { loss: mean, correct: right, images: count } = own;
    const sums = await ranks.sum([mean * count, right, count, signal, due]);
    const [loss = 0, correct = 0, images = 0, stop = 0, save = 0] = sums;
    return { ...own, loss: loss / images, correct, images, stop: stop > 0, save: save > 0 };
  }

  #ownStep(batch: Batch, position: Position): StepResult | { skipped: NonfiniteError } {
    try {
      return this.#parts.trainer.step(batch, position);
    } catch (error) {
      if (this.#parts.config.onNan === "skip-batch" && error instanceof NonfiniteError) return { skipped: error };
      throw error;
    } finally {
      batch.input.dispose();
      batch.target.dispose();
    }
  }
}
