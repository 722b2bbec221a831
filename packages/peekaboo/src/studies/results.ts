import { isIncidental } from "../commands/resume.js";
import type { TrainConfig } from "../config/config.js";
import { namedOptions, valueAt } from "../config/given.js";
import { trainOptions } from "../config/options.js";
import { groupBy } from "./group-by.js";
import type { RunFacts } from "./run-facts.js";
import { settingInWords } from "./study.js";

/** One run of several that are compared. */
export interface RunResult {
  readonly name: string;
  /** The method's name, where a study gives one. */
  readonly method: string | null;
  readonly config: TrainConfig;
  /** The words behind `peekaboo` that train it. */
  readonly command: readonly string[];
  readonly status: "done" | "failed" | "unfinished";
  /** Why it isn't done, where that is known. */
  readonly failure: string | null;
  /** Of a run that is done. */
  readonly facts: RunFacts | null;
}

/** A setting in which runs differ. */
export type Varied = (typeof namedOptions)[number];

/** Runs of the same settings but for the seed. */
export interface Group {
  /** What is compared: a method and its settings but for the density. */
  readonly method: string;
  /** The density that was asked for, of edge-popup too. */
  readonly density: number;
  readonly runs: readonly RunResult[];
  /** Those that are done. */
  readonly facts: readonly RunFacts[];
}

/** A mean and its sample standard deviation, which one value has none of. */
export interface Spread {
  readonly mean: number;
  readonly deviation: number | null;
}

/** The mean and the sample standard deviation of values, of which there is at least one. */
export function spreadOf(values: readonly number[]): Spread {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  if (values.length < 2) return { mean, deviation: null };
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, deviation: Math.sqrt(squares / (values.length - 1)) };
}

const { density, pruner } = trainOptions.pruning;

/** The settings of what is computed in which the runs differ, in the table's order. */
export function variedIn(runs: readonly Pick<RunResult, "config">[]): Varied[] {
  return namedOptions.filter(({ path, option }) => {
    if (isIncidental(path)) return false;
    const values = runs.map(({ config }) => settingOf(config, { path, option }));
    // How something would be pruned doesn't matter where nothing is.
    return new Set(values.filter((value) => value !== undefined).map((value) => JSON.stringify(value))).size > 1;
  });
}

function settingOf(config: TrainConfig, { path, option }: Varied): unknown {
  return option === pruner ? (config.pruning?.pruner ?? null) : valueAt(config, path);
}

/** What doesn't make another method. */
const OF_A_GROUP: ReadonlySet<unknown> = new Set([trainOptions.seed, density, trainOptions.hiddenDensity]);

/** The runs by method and density, in their order; seeds are what a group has several of. */
export function groupsOf(runs: readonly RunResult[]): Group[] {
  const labelled = [...groupBy(runs, ({ method }) => method).values()].flatMap((own) => {
    const varied = variedIn(own).filter(({ option }) => !OF_A_GROUP.has(option));
    return own.map((run) => ({ method: labelOf(run, varied), density: askedDensity(run.config), run }));
  });
  const groups = groupBy(labelled, ({ method, density }) => JSON.stringify([method, density]));
  return [...groups.values()].flatMap((members) =>
    members.slice(0, 1).map(({ method, density }) => {
      const own = members.map(({ run }) => run);
      return { method, density, runs: own, facts: own.flatMap(({ facts }) => (facts === null ? [] : [facts])) };
    }),
  );
}

function labelOf({ method, config }: RunResult, varied: readonly Varied[]): string {
  const parts = varied.flatMap((one) => {
    const value = settingOf(config, one);
    return value === undefined ? [] : [settingInWords(one.option, value)];
  });
  return [...(method === null ? [] : [method]), ...parts].join(" ") || config.arch;
}

/** The fraction of the weights that a run was asked to keep. */
export function askedDensity({ pruning, hiddenAct, hiddenDensity }: TrainConfig): number {
  return pruning?.density ?? (hiddenAct === "edge-popup" ? hiddenDensity : null) ?? 1;
}

/** The bits that a weight, kept or not, takes in the run's `.pab` file; null where there is none. */
export function bitsPerWeight({ pabBytes, total }: RunFacts): number | null {
  return pabBytes === null ? null : (8 * pabBytes) / total;
}

/** Runs as comma-separated values: a row each, a first one of titles; what isn't known is empty. */
export function asCsv(runs: readonly RunResult[]): string {
  const varied = variedIn(runs);
  const titles = [
    "run",
    "method",
    ...varied.map(({ path }) => path),
    "status",
    ...FIGURES.map(([title]) => title),
    "failure",
  ];
  const rows = runs.map((run) => [
    run.name,
    run.method,
    ...varied.map((one) => settingOf(run.config, one)),
    run.status,
    ...FIGURES.map(([, figure]) => (run.facts === null ? null : figure(run.facts))),
    run.failure,
  ]);
  return [titles, ...rows].map((row) => `${row.map(csvCell).join(",")}\n`).join("");
}

const FIGURES: readonly (readonly [title: string, of: (facts: RunFacts) => number | null])[] = [
  ["accuracy_best", ({ best }) => best],
  ["accuracy_last", ({ last }) => last],
  ["kept", ({ kept }) => kept],
  ["weights", ({ total }) => total],
  ["density", ({ kept, total }) => kept / total],
  ["macs", ({ macs }) => macs],
  ["macs_density", ({ macs, denseMacs }) => macs / denseMacs],
  ["bits_per_weight", bitsPerWeight],
  ["pab_bytes", ({ pabBytes }) => pabBytes],
  ["ideal_bytes", ({ idealBytes }) => Math.ceil(idealBytes)],
  ["flips", ({ flips }) => flips],
  ["steps", ({ steps }) => steps],
  ["seconds", ({ seconds }) => seconds],
];

function csvCell(value: unknown): string {
  const text =
    value === null || value === undefined ? "" : typeof value === "object" ? JSON.stringify(value) : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
