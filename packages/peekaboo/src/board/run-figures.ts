import type { Metrics, PruneMetrics, StepMetrics } from "../runs/metrics.js";
import { FlipHistory } from "./flip-history.js";
import type { LayersView, TestPoint } from "./protocol.js";
import { StepSeries } from "./step-series.js";

/** How much of the mean speed a new step's makes up. */
const PACE = 0.05;
/** Each holds all layers. */
const MOST_PRUNINGS = 64;

/** What a run's lines tell, gathered one by one. */
export class RunFigures {
  readonly series = new StepSeries();
  readonly flips = new FlipHistory();
  readonly tests: TestPoint[] = [];
  readonly prunings: PruneMetrics[] = [];
  latest: StepMetrics | null = null;
  test: TestPoint | null = null;
  best: TestPoint | null = null;
  /** As a moving mean. */
  imagesPerSecond: number | null = null;
  stepsPerEpoch: number | null = null;
  skipped = 0;
  lastSkip: Extract<Metrics, { kind: "skip" }> | null = null;
  /** Lines that are no metrics. */
  broken = 0;

  /** Takes the next line; null for one that is none. */
  add(line: Metrics | null, place: number): void {
    if (line === null) this.broken++;
    else if (line.kind === "step") this.series.add(line.step, line, place);
    else if (line.kind === "prune") this.#addPruning(line);
    else if (line.kind === "flips") this.flips.add(line);
    else if (line.kind === "eval") this.#addTest(line);
    else if (line.kind === "skip") {
      this.skipped++;
      this.lastSkip = line;
    }
    if (line !== null) this.glance(line);
  }

  /** Takes from a line what is newest, of which it may be a part of the file that is still to be read. */
  glance(line: Metrics): void {
    if (line.kind === "step" && line.step > (this.latest?.step ?? -1)) {
      const { imagesPerSecond } = line;
      this.latest = line;
      this.imagesPerSecond = (1 - PACE) * (this.imagesPerSecond ?? imagesPerSecond) + PACE * imagesPerSecond;
    } else if (line.kind === "eval" && line.step > (this.test?.step ?? -1)) this.test = pointOf(line);
    else if (line.kind === "epoch") this.stepsPerEpoch = line.step / (line.epoch + 1);
  }

  layers(): Omit<LayersView, "id"> {
    const prunings = this.prunings.map(({ epoch, pruner, layers }) => ({ epoch, pruner, layers }));
    return { prunings, flips: this.flips.view() };
  }

  #addPruning(line: PruneMetrics): void {
    this.prunings.push(line);
    // The first and the last are what matters most.
    if (this.prunings.length > MOST_PRUNINGS) this.prunings.splice(MOST_PRUNINGS / 2, 1);
  }

  #addTest(line: Extract<Metrics, { kind: "eval" }>): void {
    const point = pointOf(line);
    this.tests.push(point);
    if (point.accuracy > (this.best?.accuracy ?? -1)) this.best = point;
  }
}

function pointOf({ step, loss, accuracy }: TestPoint): TestPoint {
  return { step, loss, accuracy };
}
