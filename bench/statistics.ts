import { cpus, loadavg } from "node:os";

/** The middle value. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
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
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return `${text(median(values))} ${unit} (minimum ${text(least)}, maximum ${text(most)}, of ${values.length})`;
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

/** The largest resident set of this process so far, in GB. */
export function peakMemory(): number {
  return process.resourceUsage().maxRSS / 1e6;
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
