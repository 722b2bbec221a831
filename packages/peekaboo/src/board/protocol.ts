// What the server tells its page, in JSON; without Node, since the page reads it too.

/** The figures of a step that become curves. */
export const FIGURES = ["loss", "accuracy", "flips", "imagesPerSecond", "lr", "ar"] as const;
export type Figure = (typeof FIGURES)[number];

/** The most runs whose curves are shown side by side. */
export const MOST_COMPARED = 8;

/** A test of the network. */
export interface TestPoint {
  readonly step: number;
  readonly loss: number;
  /** Percent. */
  readonly accuracy: number;
}

/** A row of the table of runs. */
export interface RunSummary {
  readonly id: number;
  /** Its folder, seen from the one that the board follows. */
  readonly name: string;
  readonly state: "running" | "finished" | "stopped";
  /** The share of its figures that has been read. */
  readonly read: number;
  readonly step: number;
  /** Null where it isn't known yet. */
  readonly totalSteps: number | null;
  /** The last step's; null before the first. */
  readonly latest: Readonly<Partial<Record<Figure, number>>> | null;
  readonly test: TestPoint | null;
  readonly best: TestPoint | null;
  readonly kept: number | null;
  readonly total: number | null;
  readonly secondsLeft: number | null;
  /** Those that are not the same in all runs, by path, as JSON. */
  readonly settings: Readonly<Record<string, string>>;
  readonly warnings: readonly string[];
  readonly hasPicture: boolean;
  readonly hasNetwork: boolean;
  /** When its figures last changed, in milliseconds since 1970. */
  readonly changed: number;
}

/** What an event tells: runs that are new or changed, and the numbers of those that are gone. */
export interface RunsEvent {
  readonly folder: string;
  /** Whether these are all there are. */
  readonly all: boolean;
  readonly runs: readonly RunSummary[];
  readonly gone: readonly number[];
}

/** One figure over the view's steps: what lies in each bucket; null where nothing does. */
export interface Curve {
  readonly mean: readonly (number | null)[];
  readonly least: readonly (number | null)[];
  readonly most: readonly (number | null)[];
}

/** A part of some runs' curves, all on the same buckets of steps. */
export interface CurvesView {
  /** The middle step of each bucket. */
  readonly steps: readonly number[];
  /** Steps in a bucket. */
  readonly size: number;
  readonly runs: readonly {
    readonly id: number;
    readonly curves: Readonly<Record<Figure, Curve>>;
    readonly tests: readonly TestPoint[];
  }[];
}

/** What a run's layers keep and flip. */
export interface LayersView {
  readonly id: number;
  /** Each shot of pruning. */
  readonly prunings: readonly {
    readonly epoch: number;
    readonly pruner: string;
    readonly layers: readonly { readonly name: string; readonly kept: number; readonly total: number }[];
  }[];
  readonly flips: {
    /** The epochs, from 0, of each column. */
    readonly epochs: readonly { readonly first: number; readonly last: number }[];
    readonly layers: readonly { readonly name: string; readonly kept: number; readonly flips: readonly number[] }[];
  };
}
