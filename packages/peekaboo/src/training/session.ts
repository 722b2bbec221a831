import { manualSeed, scope } from "@peekaboo/torch";
import { formatCount, formatDuration, formatPercent } from "../cli/format.js";
import { createProgress } from "../cli/progress.js";
import type { TrainConfig } from "../config.js";
import { epochOrder, sampleWithoutReplacement } from "../data/order.js";
import type { Network } from "../models/network.js";
import type { Batch } from "../pruners/pruner.js";
import { findPruner } from "../pruners/registry.js";
import { type PruneReport, prune } from "../pruning/loop.js";
import { type Shot, shotsOf } from "../pruning/schedule.js";
import { RandomStream } from "../random/stream.js";
import type { Batches } from "./batches.js";
import { type Checkpoint, restoreOptimizers, writeCheckpoint } from "./checkpoint.js";
import { EpochMeans } from "./epoch-means.js";
import { type Evaluation, evaluate } from "./evaluation.js";
import { Interrupted, type InterruptGuard } from "./interrupt.js";
import type { MetricsWriter } from "./metrics.js";
import { BEGINNING, type Progress } from "./progress.js";
import type { RunFolder } from "./run-folder.js";
import { type StepResult, Trainer } from "./trainer.js";

/** Training images that the data-dependent pruners see. */
const PRUNE_SAMPLE = 100;
const TEST_BATCH = 250;

export interface SessionParts {
  config: TrainConfig;
  network: Network;
  train: Batches;
  test: Batches;
  folder: RunFolder;
  metrics: MetricsWriter;
  guard: InterruptGuard;
  stream: NodeJS.WritableStream;
  /** What to continue; null starts from the beginning. */
  start: Checkpoint | null;
}

/** How a run ended. */
export interface Outcome {
  steps: number;
  epochs: number;
  /** Of the last epoch. */
  trainLoss: number;
  final: Evaluation;
  bestAccuracy: number;
  bestEpoch: number;
  flips: number;
  pruned: PruneReport | null;
  seconds: number;
  imagesPerSecond: number;
}

/** One run from the first pruning to the last test: the order of things, and what is written when. */
export class TrainingSession {
  readonly #parts: SessionParts;
  readonly #trainer: Trainer;
  readonly #stepsPerEpoch: number;
  readonly #totalSteps: number;
  readonly #started = performance.now();
  #epoch: number;
  #step: number;
  #shots: number;
  #flips: number;
  #best: { accuracy: number; epoch: number };
  /** Of the epoch that is being trained, or was last. */
  #means: EpochMeans;
  #tested: boolean;
  #pruned: PruneReport | null = null;
  #training = { images: 0, seconds: 0 };

  constructor(parts: SessionParts) {
    this.#parts = parts;
    const { config, network, train, start } = parts;
    this.#trainer = new Trainer(network, config);
    if (start !== null) restoreOptimizers(this.#trainer, start);
    this.#stepsPerEpoch = Math.ceil(train.count / config.batchSize);
    this.#totalSteps = Math.min(config.epochs * this.#stepsPerEpoch, config.maxSteps ?? Number.POSITIVE_INFINITY);
    const progress = start?.progress ?? BEGINNING;
    this.#epoch = progress.epoch;
    this.#step = progress.step;
    this.#shots = progress.shots;
    this.#flips = progress.flips;
    this.#best = { accuracy: progress.bestAccuracy ?? Number.NEGATIVE_INFINITY, epoch: progress.bestEpoch };
    this.#means = new EpochMeans(progress.means);
    this.#tested = progress.tested;
  }

  /** Runs to the end. Throws Interrupted, with a checkpoint written, after a signal. */
  async run(): Promise<Outcome> {
    const { config } = this.#parts;
    const shots = config.pruning === null ? [] : shotsOf(config.pruning);
    let final: Evaluation | null = null;
    try {
      if (!this.#tested && this.#epochIsOver) final = await this.#test();
      while (this.#step < this.#totalSteps) {
        this.#epoch = Math.floor(this.#step / this.#stepsPerEpoch);
        for (const [i, shot] of shots.entries()) {
          if (i >= this.#shots && shot.epoch === this.#epoch) await this.#prune(shot, i);
        }
        if (this.#step === 0) this.#save(this.#parts.folder.checkpoint);
        await this.#trainEpoch();
        final = await this.#test();
      }
      final ??= await this.#evaluate();
    } catch (error) {
      if (error instanceof Interrupted && this.#step > 0) this.#save(this.#parts.folder.checkpoint);
      throw error;
    }
    const { accuracy: bestAccuracy, epoch: bestEpoch } = this.#best;
    return {
      steps: this.#step,
      epochs: this.#epoch + 1,
      trainLoss: this.#means.loss,
      final,
      bestAccuracy,
      bestEpoch,
      flips: this.#flips,
      pruned: this.#pruned,
      seconds: (performance.now() - this.#started) / 1000,
      imagesPerSecond: this.#training.seconds > 0 ? this.#training.images / this.#training.seconds : 0,
    };
  }

  /** Whether no step is left of the epoch that the last step belongs to. */
  get #epochIsOver(): boolean {
    return this.#step === Math.min((this.#epoch + 1) * this.#stepsPerEpoch, this.#totalSteps);
  }

  #say(text: string): void {
    this.#parts.stream.write(`${text}\n`);
  }

  #progress(): Progress {
    const { accuracy, epoch: bestEpoch } = this.#best;
    return {
      epoch: this.#epoch,
      step: this.#step,
      tested: this.#tested,
      shots: this.#shots,
      bestAccuracy: Number.isFinite(accuracy) ? accuracy : null,
      bestEpoch,
      flips: this.#flips,
      metricsBytes: this.#parts.metrics.offset,
      means: this.#means.toJSON(),
    };
  }

  #save(path: string): void {
    this.#parts.metrics.flush();
    writeCheckpoint(path, this.#trainer, this.#parts.config, this.#progress());
  }

  async #prune(shot: Shot, index: number): Promise<void> {
    const { config, network, train, metrics, guard, stream, folder } = this.#parts;
    if (config.pruning === null) return;
    const { pruner: name, iterations, schedule, scope: pruneScope, maskShuffle, verbose } = config.pruning;
    const pruner = findPruner(name);
    const begun = performance.now();
    const bar = createProgress({ total: iterations, title: `prune with ${name}`, stream });
    let batches: readonly Batch[] = [];
    try {
      const report = await prune(network, {
        pruner,
        density: shot.density,
        iterations,
        schedule,
        scope: pruneScope,
        imageShape: train.imageShape,
        seed: config.seed,
        shuffle: maskShuffle,
        batches: () => {
          batches = this.#pruneBatches();
          return batches;
        },
        onRound: async (done) => {
          bar.update(done);
          await guard.check();
        },
      });
      bar.stop();
      const seconds = (performance.now() - begun) / 1000;
      const { kept, total, layers } = report;
      const line = { kind: "prune", epoch: this.#epoch, shot: index, pruner: name, density: shot.density } as const;
      metrics.write({ ...line, kept, total, seconds, layers, ...(maskShuffle ? { shuffled: true } : {}) });
      this.#pruned = report;
      this.#shots = index + 1;
      this.#tellPruned(report, seconds, verbose);
      this.#save(folder.pruned);
    } finally {
      bar.stop();
      for (const { input, target } of batches) {
        input.dispose();
        target.dispose();
      }
    }
  }

  /** A hundred training images, with the training transforms, in batches. */
  #pruneBatches(): Batch[] {
    const { config, train } = this.#parts;
    const size = config.pruning?.batchSize ?? PRUNE_SAMPLE;
    const chosen = sampleWithoutReplacement(
      config.seed,
      "prune/images",
      train.count,
      Math.min(PRUNE_SAMPLE, train.count),
    );
    const starts = Array.from({ length: Math.ceil(chosen.length / size) }, (_, i) => i * size);
    return starts.map((start) => train.training(chosen.slice(start, start + size), config.seed, this.#epoch));
  }

  #tellPruned({ kept, total, layers, emptied, tied }: PruneReport, seconds: number, verbose: boolean): void {
    const share = formatPercent(kept / total);
    this.#say(`Kept ${formatCount(kept)} of ${formatCount(total)} weights (${share} %) in ${formatDuration(seconds)}.`);
    if (verbose) {
      for (const layer of layers) {
        const own = formatPercent(layer.kept / layer.total).padStart(6);
        this.#say(`  ${own} %  ${formatCount(layer.kept).padStart(11)} of ${formatCount(layer.total)}  ${layer.name}`);
      }
    }
    if (tied >= 5) {
      this.#say(
        `Warning: ${formatCount(tied)} more are gone than asked for, since their scores equal the threshold. One round and one shot avoid it.`,
      );
    }
    if (emptied.length === 0) return;
    this.#say(
      `Warning: nothing is left of ${emptied.join(", ")}: no signal passes there. A higher density or SynFlow with 100 iterations avoids it.`,
    );
  }

  /** Trains what is left of the epoch. */
  async #trainEpoch(): Promise<void> {
    const { config, network, train, guard, stream } = this.#parts;
    const order = epochOrder(config.seed, this.#epoch, train.count);
    const first = this.#epoch * this.#stepsPerEpoch;
    const begin = this.#step - first;
    const steps = Math.min(this.#stepsPerEpoch, this.#totalSteps - first);
    if (begin === 0) this.#means = new EpochMeans();
    const means = this.#means;
    const title = `epoch ${this.#epoch + 1}/${Math.ceil(this.#totalSteps / this.#stepsPerEpoch)}`;
    const bar = createProgress({ total: steps, start: begin, title, stream });
    network.module.train();
    try {
      for (let i = begin; i < steps; i++) {
        const indices = order.subarray(i * config.batchSize, (i + 1) * config.batchSize);
        const begun = performance.now();
        const result = scope(() => {
          const batch = train.training(indices, config.seed, this.#epoch);
          // Dropout draws from libtorch's generator: seeded anew, each step's draws follow from the step alone.
          if (config.dropout > 0) manualSeed(new RandomStream(config.seed, `dropout/${this.#step}`).uint32(0));
          const position = { epoch: this.#epoch, step: this.#step, totalSteps: this.#totalSteps };
          return this.#trainer.step(batch, position);
        });
        const seconds = (performance.now() - begun) / 1000;
        this.#count(result, seconds);
        bar.update(i + 1, {
          loss: means.loss.toFixed(3),
          acc: `${means.accuracy.toFixed(1)} %`,
          flips: result.flips,
          "img/s": (result.images / seconds).toFixed(0),
        });
        await guard.check();
      }
    } finally {
      bar.stop();
    }
  }

  #count(result: StepResult, seconds: number): void {
    const { loss, correct, images, flips, lr, ar } = result;
    this.#step++;
    this.#tested = false;
    this.#flips += flips;
    this.#training.images += images;
    this.#training.seconds += seconds;
    this.#means.add(result, seconds);
    this.#parts.metrics.write({
      kind: "step",
      epoch: this.#epoch,
      step: this.#step,
      loss,
      accuracy: (100 * correct) / images,
      flips,
      imagesPerSecond: images / seconds,
      lr,
      ...(ar === undefined ? {} : { ar }),
    });
  }

  async #evaluate(): Promise<Evaluation> {
    const { network, test, guard, stream } = this.#parts;
    const bar = createProgress({ total: test.count, title: "test", stream });
    try {
      return await evaluate(network, test, TEST_BATCH, async (done) => {
        bar.update(done);
        await guard.check();
      });
    } finally {
      bar.stop();
    }
  }

  async #test(): Promise<Evaluation> {
    const { metrics, folder } = this.#parts;
    const result = await this.#evaluate();
    const best = result.accuracy > this.#best.accuracy;
    if (best) this.#best = { accuracy: result.accuracy, epoch: this.#epoch };
    this.#tested = true;
    const position = { epoch: this.#epoch, step: this.#step };
    metrics.write({ kind: "epoch", ...position, ...this.#means.line() });
    metrics.write({ kind: "eval", ...position, loss: result.loss, accuracy: result.accuracy, best });
    this.#save(folder.checkpoint);
    if (best) this.#save(folder.best);
    this.#tellEpoch(result, best);
    return result;
  }

  #tellEpoch({ loss, accuracy }: Evaluation, best: boolean): void {
    const means = this.#means;
    const elapsed = (performance.now() - this.#started) / 1000;
    const done = this.#step - (this.#parts.start?.progress.step ?? 0);
    const left = (elapsed / Math.max(done, 1)) * (this.#totalSteps - this.#step);
    const remaining = left > 0 ? `, about ${formatDuration(left)} left` : "";
    this.#say(
      `Epoch ${this.#epoch + 1}: train loss ${means.loss.toFixed(3)}, accuracy ${means.accuracy.toFixed(2)} %, ` +
        `${formatCount(means.flips)} flips a step, ${formatCount(means.imagesPerSecond)} images/s; ` +
        `test loss ${loss.toFixed(3)}, accuracy ${accuracy.toFixed(2)} %${best ? " (best)" : ""}${remaining}`,
    );
  }
}
