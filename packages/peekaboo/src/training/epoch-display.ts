import { createProgress, type Progress } from "../console/progress.js";
import { stepInWords } from "./epoch-words.js";
import type { NonfiniteError } from "./nonfinite-error.js";
import type { RunState } from "./run-state.js";
import type { SessionParts } from "./session-parts.js";
import type { StepResult } from "./trainer.js";
import { EpochWarnings } from "./warnings.js";

type Parts = Pick<SessionParts, "config" | "network" | "stream"> & { state: RunState };

/** What is told of an epoch while it is trained: a bar, warnings, and with --print-freq lines. */
export class EpochDisplay {
  readonly #state: RunState;
  readonly #printFreq: number | null;
  readonly #bar: Progress;
  readonly #warnings: EpochWarnings;

  constructor({ config, network, stream, state }: Parts) {
    this.#state = state;
    this.#printFreq = config.printFreq;
    const title = `epoch ${state.epoch + 1}/${state.epochs}`;
    this.#bar = createProgress({ total: state.epochSteps, start: state.epochStep, title, stream });
    this.#warnings = new EpochWarnings(network, config, (text) => this.#bar.log(text));
  }

  /** After a step, which is counted already and took so many seconds. */
  step(result: StepResult, seconds: number): void {
    const { step, epochStep, means } = this.#state;
    this.#warnings.step(result, step);
    this.#bar.update(epochStep, {
      loss: means.loss.toFixed(3),
      acc: `${means.accuracy.toFixed(1)} %`,
      flips: result.flips,
      "img/s": (result.images / seconds).toFixed(0),
    });
    if (this.#printFreq !== null && epochStep % this.#printFreq === 0) this.#bar.log(stepInWords(this.#state, result));
  }

  /** After a step that was skipped, and is counted already. */
  skip(skipped: NonfiniteError): void {
    const { step, epochStep, means } = this.#state;
    this.#warnings.skip(skipped, step);
    this.#bar.update(epochStep, { skipped: means.skipped });
  }

  /** A line above the bar. */
  say(text: string): void {
    this.#bar.log(text);
  }

  /** After the epoch's last step. */
  end(): void {
    this.#warnings.end(this.#state.epoch, this.#state.means);
  }

  /** Leaves the bar as it is; to be called whatever happens. */
  stop(): void {
    this.#bar.stop();
  }
}
