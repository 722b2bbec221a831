import { printable } from "@peekaboo/files/errors";
import { fetchProgress } from "../console/data-progress.js";
import { formatCount, formatDuration, formatPercent } from "../console/format.js";
import { createProgress, type Progress, type ProgressStream } from "../console/progress.js";
import type { DataProgress } from "../data/source.js";
import type { Pruned, ReportedEpoch, ReportedStep, Reporter, StepPlace, Work } from "../training/reporter.js";
import { epochInWords, stepInWords } from "./epoch-words.js";

export interface TerminalOptions {
  /** Prints a line every so many steps. */
  printFreq?: number | null;
  /** Prints what each layer kept of a pruning. */
  verbose?: boolean;
  /** How sentences from the library are put to the user. */
  words?(text: string): string;
}

/** Tells a training to a person: bars, and lines above them. */
export class TerminalReporter implements Required<Reporter> {
  readonly #stream: ProgressStream;
  readonly #options: TerminalOptions;
  #bar: Progress | null = null;
  #fetching: ReturnType<typeof fetchProgress> | null = null;

  constructor(stream: ProgressStream, options: TerminalOptions = {}) {
    this.#stream = stream;
    this.#options = options;
  }

  say(text: string): void {
    const line = this.#options.words?.(text) ?? text;
    if (this.#bar === null) this.#stream.write(`${line}\n`);
    else this.#bar.log(line);
  }

  note(text: string): void {
    this.say(`Note: ${text}`);
  }

  warn(text: string): void {
    this.say(`Warning: ${text}`);
  }

  data(name: string, progress: DataProgress): void {
    this.#fetching ??= fetchProgress(name, this.#stream);
    this.#fetching.onProgress(progress);
  }

  begin(work: Work): void {
    this.end();
    const start = work.kind === "epoch" ? work.done : 0;
    this.#bar = createProgress({ total: work.total, start, title: titleOf(work), stream: this.#stream });
  }

  advance(done: number): void {
    this.#bar?.update(done);
  }

  step(step: ReportedStep): void {
    const { epochStep, means, result, seconds } = step;
    const { printFreq = null } = this.#options;
    this.#bar?.update(epochStep, {
      loss: means.loss.toFixed(3),
      acc: `${means.accuracy.toFixed(1)} %`,
      flips: result.flips,
      "img/s": (result.images / seconds).toFixed(0),
    });
    if (printFreq !== null && epochStep % printFreq === 0) this.say(stepInWords(step, result));
  }

  skip({ epochStep, means }: StepPlace): void {
    this.#bar?.update(epochStep, { skipped: means.skipped });
  }

  end(): void {
    this.#bar?.stop();
    this.#fetching?.stop();
    this.#bar = this.#fetching = null;
  }

  prune({ kept, total, layers, seconds, takenFrom }: Pruned): void {
    const share = formatPercent(kept / total);
    const time = formatDuration(seconds);
    const how = takenFrom === undefined ? ` in ${time}` : `, as ${printable(takenFrom)} found in ${time}`;
    this.say(`Kept ${formatCount(kept)} of ${formatCount(total)} weights (${share} %)${how}.`);
    if (this.#options.verbose !== true) return;
    for (const layer of layers) {
      const own = formatPercent(layer.kept / layer.total).padStart(6);
      this.say(`  ${own} %  ${formatCount(layer.kept).padStart(11)} of ${formatCount(layer.total)}  ${layer.name}`);
    }
  }

  epoch(epoch: ReportedEpoch): void {
    this.say(epochInWords(epoch));
  }
}

function titleOf(work: Work): string {
  if (work.kind === "draw") return "random weights";
  if (work.kind === "prune") return `prune with ${work.pruner}`;
  if (work.kind === "statistics") return "BatchNorm statistics";
  return work.kind === "epoch" ? `epoch ${work.epoch + 1}/${work.epochs}` : "test";
}
