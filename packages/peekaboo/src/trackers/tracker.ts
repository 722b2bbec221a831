import type { Metrics, MetricsLog, MetricsWriter } from "../runs/metrics.js";

/** What keeps a run's figures beside `metrics.jsonl`. Each method throws a UserError when it can't write. */
export interface Tracker {
  /** Takes a line, which may reach the disk later. */
  write(line: Metrics): void;
  /** Waits until all lines are on the disk. */
  flush(): void;
  /** The run is at its end, and drawn in an SVG file. */
  finish?(picture: string): Promise<void>;
  /** Flushes and closes. */
  close(): void;
}

/** A run's metrics, of which trackers hear, too. */
export class TrackedMetrics implements MetricsLog, Disposable {
  readonly #metrics: MetricsWriter;
  readonly #trackers: readonly Tracker[];

  /** @param metrics stay their maker's; the trackers are closed with this */
  constructor(metrics: MetricsWriter, trackers: readonly Tracker[]) {
    this.#metrics = metrics;
    this.#trackers = trackers;
  }

  get offset(): number {
    return this.#metrics.offset;
  }

  write(line: Metrics): void {
    this.#metrics.write(line);
    for (const tracker of this.#trackers) tracker.write(line);
  }

  flush(): void {
    this.#metrics.flush();
    for (const tracker of this.#trackers) tracker.flush();
  }

  async finish(picture: string): Promise<void> {
    for (const tracker of this.#trackers) await tracker.finish?.(picture);
  }

  [Symbol.dispose](): void {
    closeAll(this.#trackers);
  }
}

/** Closes every one, and then throws what one of them threw. */
function closeAll([first, ...rest]: readonly Tracker[]): void {
  try {
    first?.close();
  } finally {
    if (rest.length > 0) closeAll(rest);
  }
}
