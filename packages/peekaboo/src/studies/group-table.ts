import { formatBytes, formatCount, formatDuration, formatPercent } from "../console/format.js";
import { bitsPerWeight, type Group, type Spread, spreadOf } from "./results.js";
import type { RunFacts } from "./run-facts.js";

/** The titles of {@link groupRow}, and for each whether it is text (`l`) or a number (`r`). */
export const GROUP_TITLES = [
  "method",
  "asked",
  "kept",
  "MACs",
  "seeds",
  "accuracy at the end",
  "best accuracy",
  "file",
  "bits/weight",
  "flips",
  "time",
] as const;
export const GROUP_ALIGNMENT = "lrrrrrrrrrr";

/** A group as a person reads it, in the order of {@link GROUP_TITLES}. */
export function groupRow({ method, density, runs, facts }: Group): string[] {
  const seeds = facts.length === runs.length ? `${runs.length}` : `${facts.length} of ${runs.length}`;
  const asked = `${formatPercent(density)} %`;
  if (facts.length === 0) return [method, asked, "-", "-", seeds, "-", "-", "-", "-", "-", "-"];
  const mean = (of: (one: RunFacts) => number) => spreadOf(facts.map(of)).mean;
  const withFile = facts.flatMap(({ pabBytes }) => (pabBytes === null ? [] : [pabBytes]));
  const bits = facts.flatMap((one) => bitsPerWeight(one) ?? []);
  return [
    method,
    asked,
    `${formatPercent(mean(({ kept, total }) => kept / total))} %`,
    `${formatPercent(mean(({ macs, denseMacs }) => macs / denseMacs))} %`,
    seeds,
    percentInWords(spreadOf(facts.map(({ last }) => last))),
    percentInWords(spreadOf(facts.map(({ best }) => best))),
    withFile.length === 0 ? "-" : formatBytes(spreadOf(withFile).mean),
    bits.length === 0 ? "-" : spreadOf(bits).mean.toFixed(3),
    formatCount(mean(({ flips }) => flips)),
    formatDuration(mean(({ seconds }) => seconds)),
  ];
}

function percentInWords({ mean, deviation }: Spread): string {
  return deviation === null ? `${mean.toFixed(2)} %` : `${mean.toFixed(2)} ± ${deviation.toFixed(2)} %`;
}
