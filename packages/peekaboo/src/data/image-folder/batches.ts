import { quoted, UserError } from "@peekaboo/files/errors";
import { assertInteger } from "@peekaboo/seed";
import { keep, scope, Tensor } from "@peekaboo/torch";
import { pabOps } from "../../native/library.js";
import { setting } from "../../setting.js";
import type { Batch, ImageShape } from "../batch.js";
import type { BatchSource } from "../batch-source.js";
import { IMAGENET } from "../normalisation.js";
import type { Transform } from "./decode.js";
import { abandon, type Failure, type Slot } from "./job.js";
import type { DecoderPool } from "./pool.js";
import { type ImageFolderScan, type ImageSplit, imagePath } from "./scan.js";

/** What to do about an image that can't be decoded. */
type OnBadImage = "skip" | "fail";

/** Options of {@link ImageFolderBatches}. */
export interface ImageFolderBatchesOptions {
  /** Pixels a side of the images given out. */
  imageSize: number;
  onBadImage: OnBadImage;
  /** Called once at the end of a pass in which images were skipped. */
  onWarning(message: string): void;
  device: string;
  /** Batches that are decoded ahead of the one in use. */
  prefetch: number;
}

const CHANNELS = 3;

/** A batch on its way. */
interface Flight {
  indices: Int32Array;
  files: readonly string[];
  slot: Slot;
  done: Promise<Failure[]>;
}

/** The images that a pass skipped. */
interface Skipped {
  count: number;
  first: string | undefined;
}

/**
 * A split of an image folder in normalised batches [N, 3, S, S], channels last in memory, read and decoded ahead of their use.
 *
 * An image that can't be decoded throws UserError, or, when such are skipped, is left out of `plain`'s batches and replaced
 * by the next good image of its batch in `training`'s, so that these keep their size; a batch without a good image is left
 * out, and a pass without any throws UserError. So which images a batch holds doesn't depend on the threads.
 */
export class ImageFolderBatches implements BatchSource {
  readonly count: number;
  readonly imageShape: ImageShape;
  readonly #scan: ImageFolderScan;
  readonly #split: ImageSplit;
  readonly #pool: DecoderPool;
  readonly #options: ImageFolderBatchesOptions;
  readonly #onDispose: () => Promise<void> | void;

  /** @param onDispose called once at the first `dispose`; the pool may be shared */
  constructor(
    scan: ImageFolderScan,
    split: ImageSplit,
    pool: DecoderPool,
    options: ImageFolderBatchesOptions,
    onDispose: () => Promise<void> | void = () => pool.dispose(),
  ) {
    this.count = scan[split].names.length;
    this.imageShape = [CHANNELS, options.imageSize, options.imageSize];
    this.#scan = scan;
    this.#split = split;
    this.#pool = pool;
    this.#options = options;
    this.#onDispose = onDispose;
  }

  training(order: Int32Array, batchSize: number, seed: number, epoch: number): AsyncGenerator<Batch> {
    return this.#pass(order, batchSize, { kind: "training", seed, epoch });
  }

  plain(batchSize: number, indices?: Int32Array): AsyncGenerator<Batch> {
    const all = (): Int32Array => Int32Array.from({ length: this.count }, (_, index) => index);
    return this.#pass(indices ?? all(), batchSize, { kind: "plain" });
  }

  async dispose(): Promise<void> {
    await this.#onDispose();
  }

  async *#pass(order: Int32Array, batchSize: number, transform: Transform): AsyncGenerator<Batch> {
    assertInteger("batchSize", batchSize, 1);
    for (const index of order) assertInteger("image", index, 0, this.count - 1);
    const flights: Flight[] = [];
    const skipped: Skipped = { count: 0, first: undefined };
    // Of a whole batch, even for the last: so slots serve again.
    const length = Math.min(batchSize, order.length);
    let start = 0;
    let given = 0;
    const fill = (): void => {
      for (; flights.length < this.#options.prefetch && start < order.length; start += batchSize) {
        flights.push(this.#launch(order.subarray(start, start + batchSize), length, transform));
      }
    };
    try {
      fill();
      for (let flight = flights[0]; flight !== undefined; flight = flights[0]) {
        const failures = await flight.done;
        this.#note(flight, failures, skipped);
        const batch = this.#land(flight, failures, transform);
        flights.shift();
        this.#pool.release(flight.slot);
        // Before the batch is used, so that the threads go on meanwhile.
        fill();
        if (batch === undefined) continue;
        given += 1;
        yield batch;
      }
      if (given === 0 && order.length > 0) throw this.#noImage(order.length, skipped);
    } finally {
      await this.#recall(flights);
      if (given > 0) this.#warn(skipped, order.length);
    }
  }

  #launch(indices: Int32Array, length: number, transform: Transform): Flight {
    const { imageSize: size } = this.#options;
    const files = Array.from(indices, (index) => imagePath(this.#scan, this.#split, index));
    const slot = this.#pool.acquire(length * size * size * CHANNELS);
    const done = this.#pool.submit({ files, indices: indices.slice(), transform, size, slot });
    return { indices, files, slot, done };
  }

  /** Counts a batch's bad images, or throws at the first of them. */
  #note({ files }: Flight, failures: readonly Failure[], skipped: Skipped): void {
    for (const { position, reason } of failures) {
      const { [position]: file = "" } = files;
      if (this.#options.onBadImage === "fail") throw badImage(file, reason);
      skipped.count += 1;
      skipped.first ??= `${quoted(file)} (${reason})`;
    }
  }

  /** The tensors of a decoded batch; undefined when it has no good image. */
  #land({ indices, slot }: Flight, failures: readonly Failure[], transform: Transform): Batch | undefined {
    const rows = rowsOf(indices.length, failures, transform.kind === "training");
    if (rows.length === 0) return undefined;
    const { imageSize: size, device } = this.#options;
    const { labels } = this.#scan[this.#split];
    return scope(() => {
      const pixels = new Uint8Array(slot.pixels, 0, indices.length * size * size * CHANNELS);
      const images = Tensor.from(pixels, { shape: [indices.length, size, size, CHANNELS], share: true });
      const index = Tensor.from(rows);
      const input = pabOps().augment(images, index, { ...IMAGENET, channelsLast: true });
      const target = BigInt64Array.from(rows, (row) => BigInt(labels[indices[row] ?? -1] ?? -1));
      return { input: keep(input.to({ device })), target: keep(Tensor.from(target, { device })) };
    });
  }

  /** Takes back what has been submitted, and waits until no thread writes into a slot any more. */
  async #recall(flights: readonly Flight[]): Promise<void> {
    for (const { files, slot } of flights) abandon({ files, slot });
    const ends = await Promise.allSettled(flights.map(({ done }) => done));
    for (const [i, { slot }] of flights.entries()) if (ends[i]?.status === "fulfilled") this.#pool.release(slot);
  }

  #warn({ count, first }: Skipped, of: number): void {
    if (count === 0) return;
    const images = `${count} of ${of} ${this.#split} images`;
    this.#options.onWarning(`skipped ${images} that could not be decoded, the first ${first}`);
  }

  #noImage(count: number, { first }: Skipped): UserError {
    return new UserError({
      operation: "decode images",
      argument: `the ${count} ${this.#split} images of ${quoted(this.#scan.folder)}`,
      expected: "at least one that can be decoded",
      received: `none; the first was ${first}`,
    });
  }
}

/** Which rows of a decoded batch of n to give out, without the bad ones; each `replaced` by the next good row, from the last on by the first. */
function rowsOf(n: number, failures: readonly Failure[], replaced: boolean): Int32Array {
  const bad = new Set(failures.map(({ position }) => position));
  const all = Int32Array.from({ length: n }, (_, row) => row);
  if (failures.length === 0) return all;
  const good = all.filter((row) => !bad.has(row));
  if (!replaced || good.length === 0) return good;
  const [first = 0] = good;
  return all.map((row) => good.find((other) => other >= row) ?? first);
}

function badImage(file: string, reason: string): UserError {
  return new UserError({
    operation: "decode image",
    argument: quoted(file),
    expected: "a whole image",
    received: reason,
    remedy: `repair or remove the file, or go on without it by ${setting("onBadImage")} skip`,
  });
}
