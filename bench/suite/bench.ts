import type { Spread } from "../statistics.js";
import type { Peaks } from "./peaks.js";
import type { Workload } from "./workloads.js";

/** What stands in a table: a text, a number, a figure with its repetitions, or nothing. */
export type Cell = string | number | Spread | null;

/** One line of a table, by its columns' names, which have the units. */
export type Row = Readonly<Record<string, Cell>>;

export interface Table {
  readonly title: string;
  /** What has to be known to read it, a sentence each. */
  readonly notes?: readonly string[];
  readonly rows: readonly Row[];
}

/** What a figure should be at most, or at least. */
export interface Limit {
  readonly what: string;
  readonly value: number;
  readonly limit: number;
  readonly bound: "most" | "least";
}

/** What a bench gives. */
interface Result {
  readonly tables: readonly Table[];
  readonly limits?: readonly Limit[];
}

/** What a bench goes by. */
export interface Setting {
  readonly repetitions: number;
  /** Whether only that it runs is asked for: the least of everything. */
  readonly quick: boolean;
  readonly workloads: readonly Workload[];
  /** What the machine can do, measured in this run. */
  peaks(): Promise<Peaks>;
  /** Tells whoever waits. */
  say(text: string): void;
}

/** One subject of `npm run bench`. */
export interface Bench {
  readonly name: string;
  /** What it measures, for `--help`. */
  readonly about: string;
  run(setting: Setting): Promise<Result>;
}
