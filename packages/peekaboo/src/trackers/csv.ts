import type { EpochMetrics, Metrics } from "../runs/metrics.js";
import type { RunFolder } from "../runs/run-folder.js";
import { BufferedFile } from "./buffered-file.js";
import type { Tracker } from "./tracker.js";

/** Keeps a run's figures as CSV, names in the first line: a row for each line of the metrics that gives one. */
class CsvTracker implements Tracker {
  readonly #file: BufferedFile;
  readonly #rowOf: (line: Metrics) => readonly unknown[] | null;

  /** Begins the file anew. */
  constructor(path: string, names: readonly string[], rowOf: (line: Metrics) => readonly unknown[] | null) {
    this.#file = new BufferedFile("write CSV", path);
    this.#rowOf = rowOf;
    this.#append(names);
  }

  write(line: Metrics): void {
    const row = this.#rowOf(line);
    if (row !== null) this.#append(row);
  }

  flush(): void {
    this.#file.flush();
  }

  close(): void {
    this.#file.close();
  }

  /** Numbers, booleans and names, none of which needs quotes. */
  #append(row: readonly unknown[]): void {
    this.#file.append(Buffer.from(`${row.join(",")}\n`));
  }
}

const STEP = ["epoch", "step", "loss", "accuracy", "flips", "imagesPerSecond", "lr", "ar"];

/** A row for each step in `steps.csv`; one that was skipped has no figures. */
export function stepsCsv({ steps }: Pick<RunFolder, "steps">): Tracker {
  return new CsvTracker(steps, STEP, (line) =>
    line.kind === "step" || line.kind === "skip" ? figures(line, STEP) : null,
  );
}

const EPOCH = [...STEP, "seconds", "skipped"];
/** What the test after an epoch tells, by the names of the columns. */
const TEST = { testLoss: "loss", testAccuracy: "accuracy", testTop5: "top5", best: "best" };

/** A row for each epoch and the test after it in `epochs.csv`. */
export function epochsCsv({ epochs }: Pick<RunFolder, "epochs">): Tracker {
  let epoch: EpochMetrics | null = null;
  return new CsvTracker(epochs, [...EPOCH, ...Object.keys(TEST)], (line) => {
    if (line.kind === "epoch") epoch = line;
    if (line.kind !== "eval" || epoch === null) return null;
    return [...figures(epoch, EPOCH), ...figures(line, Object.values(TEST))];
  });
}

function figures(line: Metrics, names: readonly string[]): unknown[] {
  const values = new Map<string, unknown>(Object.entries(line));
  return names.map((name) => values.get(name));
}
