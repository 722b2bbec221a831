import { readFile } from "node:fs/promises";
import type { TrainConfig } from "../../config/config.js";
import type { Metrics } from "../../runs/metrics.js";
import { eventFiles, nextEventFile, type RunFolder } from "../../runs/run-folder.js";
import { BufferedFile } from "../buffered-file.js";
import type { Tracker } from "../tracker.js";
import { recordOf } from "./record.js";
import { type Event, encodeEvent, START, SUCCESS, type SummaryValue } from "./schema.js";
import { hparamsOf, hparamsValue, valuesOf } from "./values.js";

/** Keeps a run's figures in a file of events, as TensorBoard reads them: one file for each part of a run that was resumed. */
export class TensorBoardTracker implements Tracker {
  readonly #file: BufferedFile;
  /** Of the line before. */
  #step = 0;

  /**
   * Begins a file of a run that the lines `before` tell of so far. An earlier file may tell of more: from the last step of these
   * lines on it counts no longer, and the events of that step are written again.
   */
  constructor(folder: Pick<RunFolder, "path">, settings: TrainConfig, before: readonly Metrics[]) {
    const first = eventFiles(folder).length === 0 ? 0 : lastStep(before);
    this.#file = new BufferedFile("write TensorBoard's events", nextEventFile(folder, secondsNow()));
    this.#event({ fileVersion: "brain.Event:2" });
    // The second START of a run makes TensorBoard forget what it has read of this step and later ones.
    this.#event({ step: first, sessionLog: { status: START } });
    const sessionStartInfo = { hparams: hparamsOf(settings), startTimeSecs: secondsNow() };
    this.#values([hparamsValue("session_start_info", { sessionStartInfo })]);
    for (const line of before) this.#take(line, first);
  }

  write(line: Metrics): void {
    this.#take(line, 0);
  }

  flush(): void {
    this.#file.flush();
  }

  async finish(picture: string): Promise<void> {
    this.#values([{ tag: "run", image: await imageOf(picture) }]);
    const sessionEndInfo = { status: SUCCESS, endTimeSecs: secondsNow() };
    this.#values([hparamsValue("session_end_info", { sessionEndInfo })]);
  }

  close(): void {
    this.#file.close();
  }

  /** Writes a line's events, unless it is of a step before `first`. */
  #take(line: Metrics, first: number): void {
    if (line.kind !== "prune") this.#step = line.step;
    const values = this.#step < first ? [] : valuesOf(line);
    if (values.length > 0) this.#values(values);
  }

  #values(value: readonly SummaryValue[]): void {
    this.#event({ step: this.#step, summary: { value } });
  }

  #event(event: Omit<Event, "wallTime">): void {
    this.#file.append(recordOf(encodeEvent({ wallTime: secondsNow(), ...event })));
  }
}

function lastStep(lines: readonly Metrics[]): number {
  return lines.findLast((line) => line.kind !== "prune")?.step ?? 0;
}

/** Since 1970. */
function secondsNow(): number {
  return Date.now() / 1000;
}

/** An SVG file as a PNG. */
async function imageOf(svg: string): Promise<NonNullable<SummaryValue["image"]>> {
  const { default: sharp } = await import("sharp");
  const { data, info } = await sharp(await readFile(svg))
    .png()
    .toBuffer({ resolveWithObject: true });
  return { height: info.height, width: info.width, colorspace: info.channels, encodedImageString: data };
}
