import { readFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";

/** The middle value. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}

/** What is told of a figure's repetitions. */
export interface Spread {
  readonly minimum: number;
  readonly median: number;
  readonly maximum: number;
  readonly repetitions: number;
}

export function spreadOf(values: readonly number[]): Spread {
  const { length } = values;
  return { minimum: Math.min(...values), median: median(values), maximum: Math.max(...values), repetitions: length };
}

/** How values are written. */
export interface Style {
  unit?: string;
  digits?: number;
  /** What they are multiplied with, as 1000 for milliseconds. */
  times?: number;
}

/** The median, with the minimum, the maximum and the number of repetitions. */
export function spread(values: readonly number[], { unit = "s", digits = 3, times = 1 }: Style = {}): string {
  const text = (value: number) => (times * value).toFixed(digits);
  const { minimum, median, maximum, repetitions } = spreadOf(values);
  return `${text(median)} ${unit} (minimum ${text(minimum)}, maximum ${text(maximum)}, of ${repetitions})`;
}

/** What this machine is, and how busy. */
export function machine(): string {
  return `${cpus()[0]?.model.trim() ?? "an unknown processor"}, load ${loadavg()[0]?.toFixed(2)}`;
}

/** The seconds that `body` takes. */
export function seconds(body: () => unknown): number {
  const begun = performance.now();
  body();
  return (performance.now() - begun) / 1000;
}

/**
 * What each way gives, so many times, after once to warm up. They take turns, each first in turn, so that a neighbour's load
 * falls on all.
 */
export async function alternating<Name extends string, Value>(
  ways: ReadonlyMap<Name, () => Value | Promise<Value>>,
  repetitions: number,
): Promise<Map<Name, Value[]>> {
  const given = new Map([...ways.keys()].map((name) => [name, [] as Value[]]));
  for (let i = 0; i <= repetitions; i++) {
    const order = [...ways];
    const first = i % order.length;
    for (const [name, run] of [...order.slice(first), ...order.slice(0, first)]) {
      const value = await run();
      if (i > 0) given.get(name)?.push(value);
    }
  }
  return given;
}

/** The largest resident set of a process so far, this one's if no other is named, in bytes; NaN where no /proc tells. */
export function peakBytes(pid: number | "self" = "self"): number {
  try {
    const [, kilobytes] = /^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
    return 1024 * Number(kilobytes);
  } catch {
    return Number.NaN;
  }
}

/** The largest resident set of this process so far, in GB. */
export function peakMemory(): number {
  return peakBytes() / 1e9;
}

/** Below this a network has fitted its few batches, and steps are no longer those of a training. */
const COLLAPSED = 0.01;

/** Ends the benchmark with exit status 1 when a loss isn't finite, or so small that the gradients are hardly there. */
export function refuseCollapsed(losses: readonly number[], what: string): void {
  const step = losses.findIndex((loss) => !(Number.isFinite(loss) && loss >= COLLAPSED));
  if (step < 0) return;
  console.error(
    `${what}: the loss of step ${step + 1} is ${losses[step]}, so that these times are not those of a training: take fewer repetitions, or a smaller learning rate.`,
  );
  process.exit(1);
}

/** The losses of a run's steps, from its metrics. */
export function lossesOf(metrics: string): number[] {
  const lines = metrics.trim().split("\n");
  const steps = lines.map((line) => JSON.parse(line) as { kind: string; loss: number | null });
  return steps.filter(({ kind }) => kind === "step").map(({ loss }) => loss ?? Number.NaN);
}
