import { printable } from "@peekaboo/files/errors";
import type { PartSizes } from "@peekaboo/seed";
import type { IdealSize } from "../checkpoint/inspect.js";
import { formatBytes, formatCount, formatDuration, formatPercent } from "../console/format.js";
import { aligned } from "../console/table.js";

/** What {@link summariseRun} tells of a finished run. */
export interface RunSummary {
  arch: string;
  /** The data set's title. */
  dataset: string;
  steps: number;
  seconds: number;
  /** Test accuracy at the end, in percent. */
  accuracy: number;
  /** The highest test accuracy, in percent, and the epoch (from 0) after which it was measured. */
  bestAccuracy: number;
  bestEpoch: number;
  /** Prunable weights kept, and all of them. */
  kept: number;
  total: number;
  /** Words on layers of which hardly anything is left, if there are any. */
  thin?: string | null;
  /** Sign changes over the whole run. */
  flips: number;
  /** Bytes of the network as dense float32. */
  denseBytes: number;
  /** Bytes of the parts into which the trained network can be coded, at best. */
  idealSize: IdealSize;
  /** The file that the best network was coded into; null where its weights don't follow from a seed. */
  pab?: { readonly path: string; readonly bytes: number; readonly sizes: PartSizes } | null;
  checkpointBytes: number;
  /** Paths of the run's files. */
  best: string;
  checkpoint: string;
  metrics: string;
  picture: string;
}

/**
 * The closing words of a run, for a person: how well the network does, what is left of it, how small that is and where
 * it lies; one line each, without line ends.
 */
export function summariseRun(run: RunSummary): string[] {
  const { arch, dataset, steps, seconds } = run;
  const counted = `${formatCount(steps)} ${steps === 1 ? "step" : "steps"}`;
  return [
    `${arch} on ${dataset}: ${counted} in ${formatDuration(seconds)}`,
    ...aligned([...results(run), ...sizes(run), ...files(run)], "ll").map((line) => `  ${line}`),
  ];
}

function results(run: RunSummary): string[][] {
  const { accuracy, bestAccuracy, bestEpoch, kept, total, thin = null, flips, steps, idealSize } = run;
  const best =
    accuracy === bestAccuracy
      ? "the best of the run"
      : `best ${bestAccuracy.toFixed(2)} %, after epoch ${formatCount(bestEpoch + 1)}`;
  const weights = `${formatCount(kept)} of ${formatCount(total)} weights (${formatPercent(share(kept, total))} %)`;
  const rows = [
    ["accuracy", `${accuracy.toFixed(2)} % on the test images (${best})`],
    ["kept", kept === total ? `all ${formatCount(total)} weights` : weights],
  ];
  if (thin !== null) rows.push(["", thin]);
  const pace = `${formatCount(share(flips, steps))} a step, ${share(flips, kept).toFixed(2)} per kept weight`;
  // Without signs to store, none were learned.
  if (idealSize.signs > 0) rows.push(["flips", `${formatCount(flips)} (${pace})`]);
  return rows;
}

function share(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}

/** "description 1.0 kB + masks 2.9 kB + …" */
export function partsInWords({ container, description, masks, signs, numbers }: PartSizes): string {
  const parts = [
    ["description", description + container],
    ["masks", masks],
    ["signs", signs],
    ["other numbers", numbers],
  ] as const;
  return parts.flatMap(([name, bytes]) => (bytes > 0 ? [`${name} ${formatBytes(bytes)}`] : [])).join(" + ");
}

function sizes({ denseBytes, idealSize, checkpointBytes, pab = null }: RunSummary): string[][] {
  const dense = (bytes: number) => {
    const ratio = share(denseBytes, bytes);
    const gain = ratio < 1.05 ? "" : `, ${ratio.toFixed(ratio < 9.95 ? 1 : 0)} times as much`;
    return ["", `${formatBytes(denseBytes)} as dense float32${gain}`];
  };
  const checkpoint = ["", `${formatBytes(checkpointBytes)} as the checkpoint, which also holds the optimisers`];
  if (pab !== null)
    return [["size", `${formatBytes(pab.bytes)}: ${partsInWords(pab.sizes)}`], dense(pab.bytes), checkpoint];

  const { seed, masks, signs, floats, total } = idealSize;
  const parts = [
    { name: "seed", bytes: seed },
    { name: "mask", bytes: masks },
    { name: "signs", bytes: signs },
    { name: signs > 0 ? "other parameters" : "weights", bytes: floats },
  ].filter(({ bytes }) => bytes > 0);
  const listed = parts.map(({ name, bytes }) => `${name} ${formatBytes(bytes)}`).join(" + ");
  return [["size", `${formatBytes(total)} at best: ${listed}`], dense(total), checkpoint];
}

function files({ picture, best, checkpoint, metrics, pab = null }: RunSummary): string[][] {
  return [
    ["picture", picture],
    ...(pab === null ? [] : [["network", pab.path]]),
    ["best", best],
    ["checkpoint", checkpoint],
    ["metrics", metrics],
  ].map((row) => row.map((text) => printable(text)));
}
