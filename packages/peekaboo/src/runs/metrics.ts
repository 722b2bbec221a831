import { type OpenFile, withFile } from "@peekaboo/files";
import { parseJson, quoted, UserError } from "@peekaboo/files/errors";
import { z } from "zod";
import { issueInWords } from "../issue.js";
import { AppendedFile } from "./appended-file.js";

const count = z.int().nonnegative();
const percent = z.number().min(0).max(100);
const nonNegative = z.number().nonnegative();

const layerKept = z
  .object({ name: z.string().max(200), kept: count, total: count })
  .refine(({ kept, total }) => kept <= total, { message: "kept is more than total" });

const layerFlips = z.object({
  name: z.string().max(200),
  /** Sign changes over the epoch. */
  flips: count,
  /** How many of its weights are kept, and so may flip. */
  kept: count,
});

/** What the training lines share: the position in the run and the two rates in force. */
const position = {
  /** The epoch, from 0. */
  epoch: count,
  /** Optimiser steps so far, this one included. */
  step: count,
};
const rates = {
  imagesPerSecond: nonNegative,
  /** SGD's learning rate. */
  lr: nonNegative,
  /** Bop's adaptivity rate γ; absent where Bop takes no part. */
  ar: z.exactOptional(nonNegative),
};

const pruneLine = z.object({
  kind: z.literal("prune"),
  epoch: count,
  shot: count,
  pruner: z.string().max(200),
  /** The fraction of weights that this shot aims to keep. */
  density: z.number().min(0).max(1),
  kept: count,
  total: count,
  seconds: nonNegative,
  layers: z.array(layerKept),
  /** Whether each layer's kept weights were placed at random; absent where the pruner placed them. */
  shuffled: z.exactOptional(z.boolean()),
});

const stepLine = z.object({
  kind: z.literal("step"),
  ...position,
  loss: z.number(),
  /** Of this batch, in percent. */
  accuracy: percent,
  /** Weights whose sign this step changed; 0 without Bop. */
  flips: count,
  ...rates,
});

const skipLine = z.object({
  kind: z.literal("skip"),
  ...position,
  /** What was NaN or infinite. */
  what: z.enum(["loss", "gradient"]),
  /** Where it first appeared, in words. */
  where: z.string().max(300),
});

const epochLine = z.object({
  kind: z.literal("epoch"),
  ...position,
  loss: z.number(),
  accuracy: percent,
  /** Mean per step. */
  flips: nonNegative,
  ...rates,
  seconds: nonNegative,
  /** Batches whose loss or gradient was not finite, which count in nothing above; absent where there were none. */
  skipped: z.exactOptional(count),
});

const flipsLine = z.object({
  kind: z.literal("flips"),
  ...position,
  /** Each parameter of Bop's, in the network's order. */
  layers: z.array(layerFlips),
});

const evalLine = z.object({
  kind: z.literal("eval"),
  ...position,
  loss: z.number(),
  accuracy: percent,
  /** How often the class was among the five likeliest. */
  top5: z.exactOptional(percent),
  /** Whether this is the highest accuracy so far. */
  best: z.boolean(),
});

const metricsLine = z.discriminatedUnion("kind", [pruneLine, stepLine, skipLine, epochLine, flipsLine, evalLine]);

/** How many weights of one prunable tensor are kept, of how many. */
export type LayerKept = z.infer<typeof layerKept>;
/** One shot of pruning: the whole network's kept/total and each layer's. */
export type PruneMetrics = z.infer<typeof pruneLine>;
/** One training step. */
export type StepMetrics = z.infer<typeof stepLine>;
/** What one parameter of Bop's flipped over an epoch. */
export type LayerFlips = z.infer<typeof layerFlips>;
/** The means of one epoch of training; `step` is the epoch's last. */
export type EpochMetrics = z.infer<typeof epochLine>;
/** What each parameter of Bop's flipped over an epoch. */
export type FlipsMetrics = z.infer<typeof flipsLine>;
/** One evaluation on the test images. */
export type EvalMetrics = z.infer<typeof evalLine>;
/** One line of `metrics.jsonl`, told apart by `kind`. */
export type Metrics = z.infer<typeof metricsLine>;

/**
 * Appends metrics to a run's `metrics.jsonl`: one JSON object a line, one write a line, so that a run
 * that dies leaves whole lines and at most one torn end.
 */
export class MetricsWriter {
  readonly #file: AppendedFile;

  /**
   * Opens `path`, keeps its first `offset` bytes and cuts what lies beyond; 0, the default, starts the file anew.
   *
   * @throws {UserError} when the file can't be written, or `offset` is not the end of one of its lines.
   */
  constructor(path: string, { offset = 0 }: { offset?: number } = {}) {
    this.#file = new AppendedFile("write metrics", path);
    try {
      this.#cutTo(offset);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  get path(): string {
    return this.#file.path;
  }

  /** The length of the file in bytes: what a checkpoint records, to be given back on resume. */
  get offset(): number {
    return this.#file.length;
  }

  /**
   * Appends one line. When the disk is full, no part of the line stays behind.
   *
   * @throws {UserError} when the line can't be written; RangeError when a number is not finite (JSON can't represent it).
   */
  write(metrics: Metrics): void {
    this.#file.write(Buffer.from(`${JSON.stringify(metrics, finiteOnly)}\n`));
  }

  /** Waits until every line written so far is on the disk; call it before a checkpoint records {@link offset}. */
  flush(): void {
    this.#file.flush();
  }

  /** Flushes and closes; closing again does nothing. */
  close(): void {
    this.#file.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #cutTo(offset: number): void {
    const { path, length } = this.#file;
    if (offset > 0 && (offset > length || this.#file.byteAt(offset - 1) !== NEWLINE)) {
      throw new UserError({
        operation: "resume metrics",
        argument: quoted(path),
        expected: `a line that ends at byte ${offset}, as the checkpoint says`,
        received: `${length} bytes that have none`,
        remedy: "the file belongs to another run or was changed: put the right one back, or start the run anew",
      });
    }
    this.#file.cutTo(offset);
  }
}

/** Where the lines of a run go: its file, and whatever else keeps them. */
export type MetricsLog = Pick<MetricsWriter, "write" | "flush" | "offset">;

/**
 * Reads a run's `metrics.jsonl`. A torn last line, which a killed run leaves, is passed over; unknown fields are dropped.
 *
 * @throws {UserError} when the file can't be read, or naming the first line that is not a metrics line.
 */
export function readMetrics(path: string): Metrics[] {
  return withFile("read metrics", path, (file) => {
    const metrics: Metrics[] = [];
    let number = 0;
    for (const { bytes, torn } of linesOf(file)) {
      number++;
      const result = bytes.length > MAX_LINE_BYTES ? "more than a mebibyte without an end" : parseLine(bytes);
      if (typeof result === "object") metrics.push(result);
      else if (!torn) throw lineError(path, number, result);
    }
    return metrics;
  });
}

/** A parsed line's metrics, unknown fields dropped; null for one that is none. */
export function metricsOf(value: unknown): Metrics | null {
  return metricsLine.safeParse(value).data ?? null;
}

const NEWLINE = 0x0a;
const CHUNK_BYTES = 64 * 1024;
/** Far above what the largest network's prune line takes (some 20 kB); it bounds the memory that a damaged file can ask for. */
const MAX_LINE_BYTES = 1024 * 1024;

/** The file's lines without their newlines; one that grows beyond MAX_LINE_BYTES comes unfinished. */
function* linesOf(file: OpenFile): Generator<{ bytes: Buffer; torn: boolean }> {
  let rest = Buffer.alloc(0);
  for (let position = 0; position < file.size; position += CHUNK_BYTES) {
    rest = Buffer.concat([rest, file.read(position, Math.min(CHUNK_BYTES, file.size - position))]);
    let start = 0;
    for (let end = rest.indexOf(NEWLINE); end >= 0; end = rest.indexOf(NEWLINE, start)) {
      yield { bytes: rest.subarray(start, end), torn: false };
      start = end + 1;
    }
    rest = rest.subarray(start);
    if (rest.length > MAX_LINE_BYTES) yield { bytes: rest, torn: false };
  }
  if (rest.length > 0) yield { bytes: rest, torn: true };
}

/** The line's metrics, or what is wrong with it. */
function parseLine(bytes: Buffer): Metrics | string {
  let value: unknown;
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    value = parseJson(text, (received) => new Error(received));
  } catch (error) {
    return error instanceof TypeError ? "text that is not JSON" : (error as Error).message;
  }
  const result = metricsLine.safeParse(value);
  return result.success ? result.data : `JSON that is not one (${issueInWords(result.error)})`;
}

function lineError(path: string, number: number, received: string): UserError {
  return new UserError({
    operation: "read metrics",
    argument: `line ${number} of ${quoted(path)}`,
    expected: "a metrics line",
    received,
    remedy: "the file is damaged there: delete that line, or all from it on",
  });
}

function finiteOnly(key: string, value: unknown): unknown {
  if (typeof value === "number" && !Number.isFinite(value)) throw new RangeError(`metrics: ${key} is ${value}`);
  return value;
}
