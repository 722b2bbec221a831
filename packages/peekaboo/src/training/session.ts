import { manualSeed, ops, scope, type Tensor, type TorchError, UserError } from "@peekaboo/torch";
import { formatCount, formatDuration } from "../cli/format.js";
import { createProgress } from "../cli/progress.js";
import type { TrainConfig } from "../config.js";
import type { BatchSource } from "../data/batch-source.js";
import { epochOrder } from "../data/order.js";
import type { Network } from "../models/network.js";
import type { Batch } from "../pruners/pruner.js";
import type { PruneReport } from "../pruning/loop.js";
import { type Shot, shotsOf } from "../pruning/schedule.js";
import { RandomStream } from "../random/stream.js";
import { type Checkpoint, encodeCheckpoint, restoreOptimizers, writeCheckpoint } from "./checkpoint.js";
import { CheckpointClock } from "./checkpoint-interval.js";
import type { CheckpointStore } from "./checkpoint-store.js";
import { releaseMemory } from "./device.js";
import { EpochMeans } from "./epoch-means.js";
import { type Evaluation, evaluate } from "./evaluation.js";
import { firstNonfinite, type Origin } from "./first-nonfinite.js";
import { Interrupted, type InterruptGuard } from "./interrupt.js";
import { batchTooLarge, isOutOfMemory, largestFitting } from "./memory.js";
import type { MetricsWriter } from "./metrics.js";
import { NonfiniteError, tooManySkipped } from "./nonfinite-error.js";
import { BEGINNING, type Progress } from "./progress.js";
import { pruneShot } from "./prune-shot.js";
import type { Ranks } from "./ranks.js";
import type { Position } from "./rates.js";
import type { RunFolder } from "./run-folder.js";
import { type StepResult, Trainer } from "./trainer.js";
import { EpochWarnings } from "./warnings.js";

const TEST_BATCH = 250;
/** Pixels that a batch of large images may have beyond which it is no larger than in training. */
const TEST_PIXELS = 2 ** 21;

/** So many batches skipped in a row end the run: the network, not the batch, is at fault. */
const MOST_SKIPPED = 20;

/** What a step came to, and whether a signal has come to a rank meanwhile. */
type Stepped = (StepResult | { skipped: NonfiniteError }) & { stop: boolean; save: boolean };

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

/** Top-5 accuracy in words, where it says anything. */
function fiveOf({ options }: Network, top5: number): string {
  return options.numClasses < 100 ? "" : `, top-5 ${top5.toFixed(2)} %`;
}

function shareOfBatch(batchSize: number, ranks: number): number {
  if (batchSize % ranks === 0) return batchSize / ranks;
  throw new UserError({
    operation: "train",
    argument: "--bs",
    expected: `a multiple of the ${ranks} processes, which share each batch`,
    received: String(batchSize),
    remedy: `give ${Math.ceil(batchSize / ranks) * ranks}`,
  });
}

/** Gives every rank the masks of rank 0, some of whose prunable layers may have none. */
async function shareMasks(network: Network, ranks: Ranks): Promise<void> {
  if (ranks.size === 1) return;
  const layers = [...network.prunable()];
  const masked = layers.map(([, { mask }]) => (ranks.rank === 0 && mask !== null ? 1 : 0));
  const present = await ranks.sum(masked);
  for (const [i, [, layer]] of layers.entries()) {
    if (present[i] === 1 && layer.mask === null) layer.setMask(ops.onesLike(layer.weight.detach(), { dtype: "uint8" }));
  }
  await ranks.share(network.masks());
}

/** One run from the first pruning to the last test: the order of things, and what is written when. */
export class TrainingSession {
  readonly #parts: SessionParts;
  readonly #trainer: Trainer;
  /** This rank's share of a batch. */
  readonly #batchSize: number;
  readonly #stepsPerEpoch: number;
  readonly #totalSteps: number;
  readonly #started = performance.now();
  readonly #clock: CheckpointClock;
  /** Whether the latest checkpoint says where the run stands. */
  #saved: boolean;
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
    const { config, network, train, start, ranks } = parts;
    this.#batchSize = shareOfBatch(config.batchSize, ranks.size);
    this.#trainer = new Trainer(network, config, ranks);
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
    this.#clock = new CheckpointClock(config.checkpointEvery);
    this.#saved = this.#step === 0 || start !== null;
  }

  /** Runs to the end. Throws Interrupted, with a checkpoint written, after a signal. */
  async run(): Promise<Outcome> {
    const { config } = this.#parts;
    const shots = config.pruning === null ? [] : shotsOf(config.pruning);
    let final: Evaluation | null = null;
    const { network, ranks } = this.#parts;
    await ranks.share(network.module.stateDict());
    await ranks.prove(this.#learned());
    if (this.#step >= this.#totalSteps) this.#say(`The run is finished: all ${this.#totalSteps} steps are done.`);
    try {
      if (!this.#tested && this.#epochIsOver) final = await this.#test();
      while (this.#step < this.#totalSteps) {
        this.#epoch = Math.floor(this.#step / this.#stepsPerEpoch);
        for (const [i, shot] of shots.entries()) {
          if (i >= this.#shots && shot.epoch === this.#epoch) await this.#prune(shot, i);
        }
        if (this.#step === 0) await this.#saveLatest();
        await this.#trainEpoch();
        final = await this.#test();
      }
      final ??= await this.#evaluate();
      await this.#parts.store.settle();
    } catch (error) {
      if (error instanceof Interrupted && !this.#saved) await this.#saveLatest();
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

  get #testBatch(): number {
    const [, height, width] = this.#parts.test.imageShape;
    return Math.min(TEST_BATCH, Math.max(this.#batchSize, Math.floor(TEST_PIXELS / (height * width))));
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
      metricsBytes: this.#parts.metrics?.offset ?? 0,
      means: this.#means.toJSON(),
    };
  }

  /** What {@link #save} does for the checkpoint from which the run goes on. */
  async #saveLatest(): Promise<void> {
    const { store, config } = this.#parts;
    await this.#save(() => store.save(encodeCheckpoint(this.#trainer, config, this.#progress()), this.#step));
    this.#saved = true;
    this.#clock.reset();
  }

  async #saveCopy(path: string): Promise<void> {
    await this.#save(() => writeCheckpoint(path, this.#trainer, this.#parts.config, this.#progress()));
  }

  /** Once all ranks hold the same network, rank 0 writes it. */
  async #save(write: () => Promise<void>): Promise<void> {
    const { ranks, metrics } = this.#parts;
    await ranks.prove(this.#learned());
    if (ranks.rank !== 0) return;
    metrics?.flush();
    await write();
  }

  /** What must be equal on every rank; BatchNorm's statistics are each rank's own. */
  #learned(): (readonly [string, Tensor])[] {
    const { network } = this.#parts;
    const masks = [...network.masks()].map(([name, mask]) => [`mask.${name}`, mask] as const);
    return [...network.module.namedParameters(), ...masks];
  }

  /** Throws Interrupted on every rank when a signal has come to one. */
  async #check(): Promise<void> {
    await this.#agree([]);
  }

  /** The sums of the ranks' values; throws Interrupted on all of them when a signal has come to one. */
  async #agree(values: readonly number[]): Promise<number[]> {
    const { guard, ranks } = this.#parts;
    const signal = await guard.pending();
    const sums = await ranks.sum([...values, signal === undefined ? 0 : 1]);
    if (sums.pop() !== 0) throw new Interrupted(signal ?? "SIGTERM");
    return sums;
  }

  /** Rank 0 prunes; the others wait, round by round, and take its masks over. */
  async #prune(shot: Shot, index: number): Promise<void> {
    const { network, ranks, folder } = this.#parts;
    if (ranks.rank === 0) await this.#pruneHere(shot, index);
    else while ((await this.#agree([0]))[0] === 0);
    this.#shots = index + 1;
    await shareMasks(network, ranks);
    await this.#saveCopy(folder.pruned);
  }

  async #pruneHere(shot: Shot, index: number): Promise<void> {
    const { config, network, train, metrics, stream, ranks } = this.#parts;
    const { pruning, seed } = config;
    if (pruning === null) return;
    const epoch = this.#epoch;
    const { density } = shot;
    const onRound = async () => void (await this.#agree([0]));
    const { report, seconds } = await pruneShot({
      pruning,
      density,
      network,
      source: train,
      seed,
      epoch,
      stream,
      onRound,
    });
    if (ranks.size > 1) await this.#agree([1]);
    const { kept, total, layers } = report;
    const line = {
      kind: "prune",
      epoch,
      shot: index,
      pruner: pruning.pruner,
      density,
      kept,
      total,
      seconds,
      layers,
    } as const;
    metrics?.write({ ...line, ...(pruning.maskShuffle ? { shuffled: true } : {}) });
    this.#pruned = report;
  }

  /** Trains what is left of the epoch. */
  async #trainEpoch(): Promise<void> {
    const { config, network, train, guard, stream, ranks } = this.#parts;
    const order = epochOrder(config.seed, this.#epoch, train.count);
    const first = this.#epoch * this.#stepsPerEpoch;
    const begin = this.#step - first;
    const steps = Math.min(this.#stepsPerEpoch, this.#totalSteps - first);
    if (begin === 0) this.#means = this.#means.following();
    const means = this.#means;
    const title = `epoch ${this.#epoch + 1}/${Math.ceil(this.#totalSteps / this.#stepsPerEpoch)}`;
    const bar = createProgress({ total: steps, start: begin, title, stream });
    const share = ranks.trainingShare(order);
    const size = this.#batchSize;
    const warnings = new EpochWarnings(network, config.bop, (text) => bar.log(text));
    network.module.train();
    let begun = performance.now();
    let i = begin;
    try {
      for await (const batch of train.training(
        share.subarray(begin * size, steps * size),
        size,
        config.seed,
        this.#epoch,
      )) {
        // Dropout draws from libtorch's generator: seeded anew, each step's draws follow from the step alone.
        if (config.dropout > 0) manualSeed(new RandomStream(config.seed, `dropout/${this.#step}`).uint32(ranks.rank));
        const result = await this.#trainStep(batch);
        const seconds = (performance.now() - begun) / 1000;
        begun = performance.now();
        i++;
        if ("skipped" in result) {
          this.#skip(result.skipped);
          warnings.skip(result.skipped, this.#step);
          bar.update(i, { skipped: means.skipped });
        } else {
          this.#count(result, seconds);
          warnings.step(result, this.#step);
          bar.update(i, {
            loss: means.loss.toFixed(3),
            acc: `${means.accuracy.toFixed(1)} %`,
            flips: result.flips,
            "img/s": (result.images / seconds).toFixed(0),
          });
          if (config.printFreq !== null && i % config.printFreq === 0) bar.log(this.#stepInWords(i, steps, result));
        }
        if (result.stop) throw new Interrupted((await guard.pending()) ?? "SIGTERM");
        if (!result.save) continue;
        await this.#saveLatest();
        begun = performance.now();
      }
      warnings.end(this.#epoch, means);
    } catch (error) {
      throw isOutOfMemory(error) ? batchTooLarge(error, config.batchSize) : error;
    } finally {
      bar.stop();
    }
  }

  /** One step on this rank's batch, which it uses up; the figures are those of all ranks together. */
  async #trainStep(batch: Batch): Promise<Stepped> {
    const { ranks, guard } = this.#parts;
    const own = this.#ownStep(batch);
    const signal = (await guard.pending()) === undefined ? 0 : 1;
    const due = ranks.rank === 0 && this.#clock.isDue(this.#step + 1) ? 1 : 0;
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

  #ownStep(batch: Batch): StepResult | { skipped: NonfiniteError } {
    const position = { epoch: this.#epoch, step: this.#step, totalSteps: this.#totalSteps };
    try {
      return this.#trainer.step(batch, position);
    } catch (error) {
      if (this.#parts.config.onNan === "skip-batch" && error instanceof NonfiniteError) return { skipped: error };
      throw isOutOfMemory(error) ? this.#tooLarge(error, batch, position) : error;
    } finally {
      batch.input.dispose();
      batch.target.dispose();
    }
  }

  /** Counts a step that left the network as it was. Throws UserError when there were too many. */
  #skip(skipped: NonfiniteError): void {
    const { what, where } = skipped;
    this.#step++;
    this.#tested = false;
    this.#means.skip();
    this.#parts.metrics?.write({ kind: "skip", epoch: this.#epoch, step: this.#step, what, where });
    const { skippedInARow, steps } = this.#means;
    if (skippedInARow >= MOST_SKIPPED) throw tooManySkipped(skippedInARow, skipped);
    // An epoch of which nothing is left has no means.
    if (steps === 0 && this.#epochIsOver) throw tooManySkipped(skippedInARow, skipped);
  }

  /** The error for a batch that doesn't fit, with one that does: found by steps of a run that ends here, unsaved. */
  #tooLarge(error: TorchError, { input, target }: Batch, position: Position): UserError {
    const { config, ranks } = this.#parts;
    if (ranks.size > 1) return batchTooLarge(error, config.batchSize);
    const fits = (images: number) =>
      scope(() => {
        try {
          const first = (whole: Tensor) => ops.narrow(whole, 0, 0, images);
          this.#trainer.step({ input: first(input), target: first(target) }, position);
          return true;
        } catch (failure) {
          // Numbers that are not finite say that there was memory to compute them.
          if (failure instanceof UserError) return true;
          if (isOutOfMemory(failure)) return false;
          throw failure;
        }
      });
    // Said first: where even a few kilobytes are missing, libraries below may end the process.
    this.#say(`Note: a batch of ${config.batchSize} images doesn't fit in memory; looking for one that does.`);
    return batchTooLarge(error, config.batchSize, largestFitting(target.numel, fits));
  }

  #stepInWords(done: number, steps: number, { loss, correct, images, flips }: StepResult): string {
    const accuracy = ((100 * correct) / images).toFixed(2);
    return `Epoch ${this.#epoch + 1}, step ${done} of ${steps}: loss ${loss.toFixed(4)}, accuracy ${accuracy} %, ${formatCount(flips)} flips`;
  }

  #count(result: StepResult, seconds: number): void {
    const { loss, correct, images, flips, lr, ar } = result;
    this.#step++;
    this.#saved = false;
    this.#tested = false;
    this.#flips += flips;
    this.#training.images += images;
    this.#training.seconds += seconds;
    this.#means.add(result, seconds);
    this.#parts.metrics?.write({
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
    const { network, test, guard, stream, ranks } = this.#parts;
    // One network is tested, and saved: with rank 0's statistics.
    await ranks.share(network.module.namedBuffers());
    const bar = createProgress({ total: Math.ceil(test.count / ranks.size), title: "test", stream });
    try {
      const onBatch = async (done: number) => {
        bar.update(done);
        if (ranks.size === 1) await guard.check();
      };
      let origin: Origin | null = null;
      const onNonfinite = (_: number, input: Tensor) => {
        origin ??= firstNonfinite(network, input);
      };
      const result = await evaluate(network, test, { batchSize: this.#testBatch, ranks, onBatch, onNonfinite });
      await this.#check();
      if (!Number.isFinite(result.loss)) {
        throw NonfiniteError.test(result.loss, origin, { epoch: this.#epoch, step: this.#step });
      }
      return result;
    } finally {
      releaseMemory();
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
    metrics?.write({ kind: "epoch", ...position, ...this.#means.line() });
    const { loss, accuracy, top5 } = result;
    metrics?.write({ kind: "eval", ...position, loss, accuracy, top5, best });
    // In this order: a run killed in between tests again, and finds the best again.
    if (best) await this.#saveCopy(folder.best);
    await this.#saveLatest();
    this.#tellEpoch(result, best);
    return result;
  }

  #tellEpoch({ loss, accuracy, top5 }: Evaluation, best: boolean): void {
    const means = this.#means;
    const elapsed = (performance.now() - this.#started) / 1000;
    const done = this.#step - (this.#parts.start?.progress.step ?? 0);
    const left = (elapsed / Math.max(done, 1)) * (this.#totalSteps - this.#step);
    const remaining = left > 0 ? `, about ${formatDuration(left)} left` : "";
    this.#say(
      `Epoch ${this.#epoch + 1}: train loss ${means.loss.toFixed(3)}, accuracy ${means.accuracy.toFixed(2)} %, ` +
        `${formatCount(means.flips)} flips a step, ${formatCount(means.imagesPerSecond)} images/s; ` +
        `test loss ${loss.toFixed(3)}, accuracy ${accuracy.toFixed(2)} %${fiveOf(this.#parts.network, top5)}${best ? " (best)" : ""}${remaining}`,
    );
  }
}
