import { existsSync, type Stats } from "node:fs";
import { basename, dirname } from "node:path";
import { FileLock } from "@peekaboo/files";
import type { TrainConfig } from "../config/config.js";
import { formatCount } from "../console/format.js";
import { type RunFolder, runFolder } from "../runs/run-folder.js";
import { recordIfWhole } from "../runs/run-record.js";
import { thinLayersInWords } from "../runs/thin-layers.js";
import { FollowedFile } from "./followed-file.js";
import { parsedLines } from "./parsed-lines.js";
import type { RunSummary } from "./protocol.js";
import { RunFigures } from "./run-figures.js";
import { leavesOf } from "./settings.js";
import { statsOf } from "./stats-of.js";

/** What of a long file is read first: enough for the last steps and tests. */
const TAIL_BYTES = 32 * 1024;

/** A run whose folder is followed. */
export class FollowedRun {
  readonly id: number;
  readonly name: string;
  readonly folder: RunFolder;
  readonly file: FollowedFile;
  figures = new RunFigures();
  /** When somebody last looked at its curves: such runs are read first. */
  wanted = 0;
  /** Its settings by path, as JSON. */
  settings: ReadonlyMap<string, string> = new Map();
  #config: TrainConfig | null = null;
  #configStats: Stats | undefined;
  #glanced = false;
  #around: Pick<RunSummary, "hasPicture" | "hasNetwork"> & { running: boolean } = {
    hasPicture: false,
    hasNetwork: false,
    running: false,
  };

  /** @param path its folder */
  constructor(id: number, name: string, path: string) {
    this.id = id;
    this.name = name;
    this.folder = runFolder({ savedir: dirname(path), expName: basename(path) });
    this.file = new FollowedFile(this.folder.metrics);
  }

  /** Looks at the figures' file. */
  look(): "gone" | "changed" | "same" {
    const seen = this.file.look();
    if (seen === "another") {
      this.figures = new RunFigures();
      this.#glanced = false;
    }
    if (!this.#glanced) this.#glance();
    return seen === "gone" || seen === "same" ? seen : "changed";
  }

  /** Looks at the other files; true when they changed. */
  lookAround(): boolean {
    const { config, lock, picture, bestPab } = this.folder;
    const before = JSON.stringify(this.#around);
    const running = FileLock.isHeld(lock);
    this.#around = { hasPicture: existsSync(picture), hasNetwork: existsSync(bestPab), running };
    return this.#readConfig(config) || JSON.stringify(this.#around) !== before;
  }

  /** Reads on, a few milliseconds long. */
  read(): void {
    for (const { metrics, place } of parsedLines(this.file.next())) this.figures.add(metrics, place);
  }

  /** @param varied the settings to tell: those that differ between runs */
  summary(varied: readonly string[]): RunSummary {
    const { latest, test, best, prunings, imagesPerSecond } = this.figures;
    const { running, ...there } = this.#around;
    const step = latest?.step ?? 0;
    const totalSteps = this.#totalSteps();
    const ended = totalSteps !== null && step >= totalSteps;
    const last = prunings.at(-1);
    const told = varied.map((path) => [path, this.settings.get(path) ?? ""] as const);
    const pace = imagesPerSecond === null ? 0 : imagesPerSecond / (this.#config?.batchSize ?? Number.NaN);
    return {
      id: this.id,
      name: this.name,
      state: running ? "running" : ended ? "finished" : "stopped",
      read: this.file.size === 0 ? 1 : this.file.offset / this.file.size,
      step,
      totalSteps,
      latest: latest === null ? null : figuresOf(latest, imagesPerSecond ?? 0),
      test,
      best,
      kept: last?.kept ?? null,
      total: last?.total ?? null,
      secondsLeft: running && totalSteps !== null && pace > 0 ? Math.max(0, totalSteps - step) / pace : null,
      settings: Object.fromEntries(told),
      warnings: this.#warnings(),
      ...there,
      changed: this.file.changed,
    };
  }

  /** Takes the newest from the end of a long file, before all of it is read. */
  #glance(): void {
    this.#glanced = true;
    if (this.file.size <= TAIL_BYTES) return;
    for (const { metrics } of parsedLines(this.file.tail(TAIL_BYTES)))
      if (metrics !== null) this.figures.glance(metrics);
  }

  #readConfig(path: string): boolean {
    const stats = statsOf(path);
    if (stats?.mtimeMs === this.#configStats?.mtimeMs && stats?.ino === this.#configStats?.ino) return false;
    this.#configStats = stats;
    this.#config = stats === undefined ? null : (recordIfWhole(path)?.config ?? null);
    this.settings = leavesOf(this.#config);
    return true;
  }

  #totalSteps(): number | null {
    if (this.#config === null) return null;
    const { epochs, maxSteps } = this.#config;
    const { stepsPerEpoch } = this.figures;
    const all = stepsPerEpoch === null ? null : Math.round(epochs * stepsPerEpoch);
    return all !== null && maxSteps !== null ? Math.min(all, maxSteps) : (maxSteps ?? all);
  }

  #warnings(): string[] {
    const { skipped, lastSkip, broken, prunings } = this.figures;
    const { minKept = null } = this.#config?.pruning ?? {};
    const thin = thinLayersInWords(prunings.at(-1)?.layers ?? [], minKept);
    return [
      ...(lastSkip === null
        ? []
        : [
            `skipped steps: ${formatCount(skipped)}; the last at step ${formatCount(lastSkip.step)}, where the ${lastSkip.what} was not finite: ${lastSkip.where}`,
          ]),
      ...(thin === null ? [] : [thin.replaceAll("`", "")]),
      ...(broken === 0 ? [] : [`damaged lines of metrics.jsonl, left out: ${formatCount(broken)}`]),
    ];
  }
}

function figuresOf(latest: NonNullable<RunFigures["latest"]>, imagesPerSecond: number): RunSummary["latest"] {
  const { loss, accuracy, flips, lr, ar } = latest;
  return { loss, accuracy, flips, imagesPerSecond, lr, ...(ar === undefined ? {} : { ar }) };
}
