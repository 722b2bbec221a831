import { appendFileSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { errorCode, makeFolder } from "@peekaboo/files";
import { printable, UserError } from "@peekaboo/files/errors";
import { cores } from "@peekaboo/torch/cores";
import { whyUnshared } from "../config/config.js";
import { flagsFrom } from "../config/given.js";
import { trainOptions } from "../config/options.js";
import type { Guard } from "../console/interrupt.js";
import { environmentAlone } from "../launch/environment.js";
import { peekabooCommand } from "../launch/program.js";
import { type Ending, RankProcess } from "../launch/rank-process.js";
import { awaitLock, lockRun } from "../runs/run-lock.js";
import type { PlannedRun, Study } from "./study.js";
import {
  adoptFolder,
  forgetFailure,
  isFinished,
  makeStudyFolder,
  type StudyRunFolder,
  studyFiles,
  studyRunFolder,
  writeFailure,
} from "./study-folder.js";
import { lastStepIn, stepsOf } from "./study-progress.js";

/** What there is to do. */
interface SweepWork {
  /** The steps of all runs, or where they can't be known the runs, and how many of them earlier sweeps did. */
  total: number;
  done: number;
  unit: "steps" | "runs";
  /** The runs, and how many of them are over. */
  runs: number;
  over: number;
  /** Of each run, unless it says so itself. */
  threads: number;
}

/** Hears how a sweep goes. */
export interface SweepListener {
  begin(work: SweepWork): void;
  /** How many of these are done, and how many runs. */
  advance(done: number, runs: number): void;
  /** One run is at its end, as `over` are now; `failure` says why it isn't done. */
  ended(run: PlannedRun, how: { seconds: number; failure: string | null; over: number }): void;
}

export interface SweepOptions {
  /** How many runs go on at a time. */
  parallel: number;
  guard: Guard;
  listener: SweepListener;
}

/**
 * Trains the runs of a study in its folder, each in a process of its own, several at a time. Runs that are done stay as they
 * are, and begun ones go on. One that fails doesn't end the others.
 *
 * @returns the runs that failed, and why, in one sentence each
 * @throws {UserError} when the folder can't be used; Interrupted after a signal, with the state of every run saved.
 */
export async function sweep(study: Study, folder: string, options: SweepOptions): Promise<Map<PlannedRun, string>> {
  const { guard, parallel, listener } = options;
  makeStudyFolder(folder);
  const user = { operation: "sweep", what: "study", who: "sweep", settings: ["savedir"] };
  using _lock = await lockRun(studyFiles(folder).lock, { folder, user, signal: guard.signal });
  adoptFolder(folder, study);
  const threads = cores(parallel).count;
  const { prunings } = studyFiles(folder);
  const state = new SweepState(study, folder, { listener, threads });
  const queue = study.runs.filter((run) => !state.isDone(run));
  const failures = new Map<PlannedRun, string>();
  const work = async () => {
    for (let run = queue.shift(); run !== undefined; run = queue.shift()) {
      await guard.check();
      const began = performance.now();
      state.start(run);
      const failure = await new Attempt(run, studyRunFolder(folder, run.name), { threads, prunings, guard }).outcome();
      if (failure !== null) failures.set(run, failure);
      state.end(run, failure, (performance.now() - began) / 1000);
    }
  };
  const timer = setInterval(() => state.tell(), TELL_MS);
  try {
    const ended = await Promise.allSettled(Array.from({ length: parallel }, work));
    for (const one of ended) if (one.status === "rejected") throw one.reason;
  } finally {
    clearInterval(timer);
  }
  return failures;
}

const TELL_MS = 1000;

/** Which runs are done, and how many steps of the others. */
class SweepState {
  readonly #folder: string;
  readonly #listener: SweepListener;
  readonly #steps: ReadonlyMap<PlannedRun, number | null>;
  readonly #inSteps: boolean;
  readonly #over: Set<PlannedRun>;
  /** What is done of each run, in the unit of the whole. */
  readonly #parts: Map<PlannedRun, number>;
  readonly #running = new Set<PlannedRun>();

  constructor({ runs }: Study, folder: string, { listener, threads }: { listener: SweepListener; threads: number }) {
    this.#folder = folder;
    this.#listener = listener;
    this.#steps = new Map(runs.map((run) => [run, stepsOf(run.config)]));
    this.#inSteps = ![...this.#steps.values()].includes(null);
    this.#over = new Set(runs.filter((run) => isFinished(studyRunFolder(folder, run.name), run.config)));
    this.#parts = new Map(runs.map((run) => [run, this.#partOf(run)]));
    const total = runs.reduce((sum, run) => sum + this.#sizeOf(run), 0);
    const [over, unit] = [this.#over.size, this.#inSteps ? ("steps" as const) : ("runs" as const)];
    listener.begin({ total, done: this.#done(), unit, runs: runs.length, over, threads });
  }

  isDone(run: PlannedRun): boolean {
    return this.#over.has(run);
  }

  start(run: PlannedRun): void {
    this.#running.add(run);
  }

  end(run: PlannedRun, failure: string | null, seconds: number): void {
    this.#running.delete(run);
    this.#over.add(run);
    this.#parts.set(run, this.#partOf(run));
    this.#listener.ended(run, { seconds, failure, over: this.#over.size });
    this.tell();
  }

  tell(): void {
    for (const run of this.#running) this.#parts.set(run, this.#partOf(run));
    this.#listener.advance(this.#done(), this.#over.size);
  }

  #done(): number {
    return [...this.#parts.values()].reduce((sum, part) => sum + part, 0);
  }

  #sizeOf(run: PlannedRun): number {
    return this.#inSteps ? (this.#steps.get(run) ?? 0) : 1;
  }

  #partOf(run: PlannedRun): number {
    if (this.isDone(run)) return this.#sizeOf(run);
    return this.#inSteps ? lastStepIn(studyRunFolder(this.#folder, run.name).metrics) : 0;
  }
}

/** What is left of a run's process after a signal, or a killed sweep, has so long to save. */
const SAVE_MS = 120_000;

interface AttemptOptions {
  threads: number;
  /** Where the runs share what they pruned. */
  prunings: string;
  guard: Guard;
}

/** One run's process, from its start to its end. */
class Attempt {
  readonly #run: PlannedRun;
  readonly #files: StudyRunFolder;
  readonly #options: AttemptOptions;
  /** What it said last on stderr. */
  #last = "";

  constructor(run: PlannedRun, files: StudyRunFolder, options: AttemptOptions) {
    this.#run = run;
    this.#files = files;
    this.#options = options;
  }

  /** Why the run failed, or null when it is done. @throws Interrupted after a signal. */
  async outcome(): Promise<string | null> {
    const failure = await this.#trained().catch((error: unknown) => {
      if (error instanceof UserError) return error.message;
      throw error;
    });
    if (failure === null) forgetFailure(this.#files);
    else writeFailure(this.#files, failure);
    return failure;
  }

  async #trained(): Promise<string | null> {
    makeFolder("sweep", this.#files.path);
    await this.#untilFree();
    const ending = await this.#process();
    const { status, signal, error } = ending;
    if (status === 0) return null;
    // It ended because this process was asked to.
    await this.#options.guard.check();
    if (error !== undefined) return `It could not be started (${printable(error)}).`;
    if (signal === "SIGKILL") return "It was killed by SIGKILL, as happens when memory runs out.";
    if (signal !== null) return `It was killed by ${signal}.`;
    return this.#last === "" ? `It ended with exit status ${status}.` : printable(this.#last, 1000);
  }

  /** A process that a killed sweep has left saves first. */
  async #untilFree(): Promise<void> {
    const { signal } = this.#options.guard;
    try {
      (await awaitLock(this.#files.lock, { operation: "sweep", patience: SAVE_MS, signal }))?.release();
    } catch (error) {
      // The run itself says what there is to say.
      if (errorCode(error) === undefined) throw error;
    }
  }

  async #process(): Promise<Ending> {
    const process = new RankProcess({
      rank: 0,
      command: peekabooCommand(["train", ...this.#flags()]),
      env: environmentAlone(globalThis.process.env),
      inheritsOutput: false,
      onLine: (line) => this.#note(line),
    });
    const { signal } = this.#options.guard;
    const over = new AbortController();
    const stop = () => {
      process.kill("SIGTERM");
      void sleep(SAVE_MS, undefined, { signal: over.signal }).then(
        () => process.kill("SIGKILL"),
        () => {},
      );
    };
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    const ending = await process.ended;
    signal.removeEventListener("abort", stop);
    over.abort();
    return ending;
  }

  #flags(): string[] {
    const { given, config } = this.#run;
    const { savedir, expName, resume, threads, sharePruning } = trainOptions;
    const places = new Map<unknown, unknown>([
      [savedir, dirname(this.#files.path)],
      [expName, this.#run.name],
      [resume, "auto"],
      [threads, config.threads ?? this.#options.threads],
      [sharePruning, whyUnshared(config) === null ? this.#options.prunings : null],
    ]);
    return flagsFrom(new Map([...given, ...places]) as typeof given);
  }

  #note(line: string): void {
    if (line.trim() !== "") this.#last = line;
    try {
      appendFileSync(this.#files.log, `${line}\n`);
    } catch {
      // A full disk is no reason to lose the run, which says so itself.
    }
  }
}
