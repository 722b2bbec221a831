import { readSafetensors } from "@peekaboo/files";
import { asTypedArray, type TensorEntry } from "@peekaboo/files/safetensors";
import { differences, inJson, type ValueDifference } from "../runs/differences.js";
import type { Environment } from "../runs/environment.js";
import { type Metrics, readMetrics } from "../runs/metrics.js";
import type { RunFolder } from "../runs/run-folder.js";
import { readRecord } from "../runs/run-record.js";
import type { RecordedRun } from "./recorded-run.js";

/** A value that two runs don't share, by path; values in JSON. */
export interface Difference {
  name: string;
  original: string;
  reproduced: string;
}

/** The first line of metrics that differs. */
export interface MetricsDifference extends Difference {
  /** From 1. */
  line: number;
  kind: string;
  epoch: number;
  /** Null in a line of pruning. */
  step: number | null;
}

/** The first number of a checkpoint that differs; `index` is null where dtype or shape does. */
interface TensorDifference extends Difference {
  index: number | null;
}

/** What a repeated run shares with the original. */
export interface Comparison {
  /** Whether metrics, but for times, and the last checkpoint's tensors are the same in every bit. */
  identical: boolean;
  environment: Difference[];
  metrics: { lines: number; first: MetricsDifference | null };
  checkpoint: { tensors: number; differing: number; first: TensorDifference | null };
}

/** Compares a finished run with its repetition. @throws {UserError} when a file of theirs is damaged. */
export function compareRuns(run: RecordedRun, reproduced: RunFolder): Comparison {
  const environment = compareEnvironments(run.environment, readRecord(reproduced.config).environment);
  const metrics = compareMetrics(run.metrics, readMetrics(reproduced.metrics));
  const checkpoint = compareTensors(
    readSafetensors(run.folder.checkpoint).tensors,
    readSafetensors(reproduced.checkpoint).tensors,
  );
  return { identical: metrics.first === null && checkpoint.first === null, environment, metrics, checkpoint };
}

/** What differs of two environments, but for the command line and why so many threads; what one of them doesn't tell is passed over. */
export function compareEnvironments(original: Environment, reproduced: Environment): Difference[] {
  const { commandLine: _, threadsFrom: __, ...before } = original;
  const values = new Map<string, unknown>(Object.entries(reproduced));
  return Object.entries(before).flatMap(([name, value]) =>
    values.get(name) === undefined ? [] : differences(value, values.get(name), name).map(inWords),
  );
}

/** What the clock says. */
const TIMES: ReadonlySet<string> = new Set(["seconds", "imagesPerSecond"]);

export function compareMetrics(
  original: readonly Metrics[],
  repetition: readonly Metrics[],
): { lines: number; first: MetricsDifference | null } {
  const lines = original.length;
  // Earlier versions wrote none of these lines.
  const tellsFlips = original.some(({ kind }) => kind === "flips");
  const reproduced = tellsFlips ? repetition : repetition.filter(({ kind }) => kind !== "flips");
  for (let i = 0; i < Math.max(lines, reproduced.length); i++) {
    const [before, after] = [original[i], reproduced[i]];
    const line = before ?? after;
    if (line === undefined) break;
    const [first] = differences(before, after).filter(({ path }) => !TIMES.has(path));
    if (first === undefined) continue;
    const { kind, epoch } = line;
    return {
      lines,
      first: { line: i + 1, kind, epoch, step: line.kind === "prune" ? null : line.step, ...inWords(first) },
    };
  }
  return { lines, first: null };
}

type Tensors = ReadonlyMap<string, TensorEntry>;

export function compareTensors(original: Tensors, reproduced: Tensors): Comparison["checkpoint"] {
  const names = [...new Set([...original.keys(), ...reproduced.keys()])];
  const differing = names.filter((name) => !sameTensor(original.get(name), reproduced.get(name)));
  const [name] = differing;
  const first = name === undefined ? null : tensorDifference(name, original.get(name), reproduced.get(name));
  return { tensors: names.length, differing: differing.length, first };
}

function sameTensor(a: TensorEntry | undefined, b: TensorEntry | undefined): boolean {
  return a !== undefined && b !== undefined && layoutOf(a) === layoutOf(b) && Buffer.compare(a.data, b.data) === 0;
}

function layoutOf(entry: TensorEntry | undefined): string {
  return entry === undefined ? "nothing" : `${entry.dtype} [${entry.shape.join(", ")}]`;
}

function tensorDifference(name: string, a: TensorEntry | undefined, b: TensorEntry | undefined): TensorDifference {
  const layouts = { name, original: layoutOf(a), reproduced: layoutOf(b), index: null };
  if (a === undefined || b === undefined || layouts.original !== layouts.reproduced) return layouts;
  const byte = a.data.findIndex((value, i) => value !== b.data[i]);
  const [before, after] = [asTypedArray(a), asTypedArray(b)];
  const index = Math.floor(byte / before.BYTES_PER_ELEMENT);
  return { name, original: numberOf(before[index]), reproduced: numberOf(after[index]), index };
}

/** Tells zero from minus zero, as its bits do. */
function numberOf(value: number | bigint | undefined): string {
  return Object.is(value, -0) ? "-0" : String(value);
}

function inWords({ path: name, before, after }: ValueDifference): Difference {
  return { name, original: inJson(before), reproduced: inJson(after) };
}
