import { existsSync, realpathSync } from "node:fs";
import { quoted, UserError } from "@peekaboo/files/errors";
import { devices } from "@peekaboo/torch";
import type { TrainConfig } from "../config/config.js";
import type { Io } from "../console/io.js";
import { isLaunched } from "../launch/environment.js";
import { type LaunchConfig, type LaunchPlan, launchPlan, wantsCuda } from "../launch/plan.js";
import { launch } from "../launch/start.js";
import { runFolder } from "../runs/run-folder.js";
import { setting } from "../setting.js";
import { type Comparison, compareEnvironments, compareRuns } from "./compare-runs.js";
import { type Place, type RecordedRun, readRun, settingsToRepeat } from "./recorded-run.js";
import type { RunOptions } from "./train.js";

/** A run and its repetition. */
export interface Reproduction extends Comparison {
  /** The two folders. */
  run: string;
  reproduced: string;
}

/** How a repetition ended; without a `reproduction` it was stopped, or another process compares. */
export interface ReproductionOutcome {
  status: number;
  reproduction: Reproduction | null;
}

/** What a repetition is handed. */
export interface ReproductionParts {
  /** The streams of the processes that it starts. */
  io: Io;
  /** Hears what a reader should know. */
  note(sentence: string): void;
  train: Train;
}

/** Trains, and returns the exit status. */
type Train = (config: TrainConfig, io: Io, options: Omit<RunOptions, "reporter" | "guard">) => Promise<number>;

/**
 * `peekaboo reproduce`: runs a finished run again, with as many processes as it had, and compares the two. Whatever the run
 * prints goes to stderr.
 *
 * @param argv the command line, with which further processes are started
 * @throws {UserError} when the run can't be read or isn't over, or can't be repeated here; and whatever training throws.
 */
export async function reproduce(
  path: string,
  place: Place,
  argv: readonly string[],
  { io, note, train }: ReproductionParts,
): Promise<ReproductionOutcome> {
  const run = readRun(path);
  const config = settingsToRepeat(run, place);
  const folder = runFolder(config);
  refuseSameFolder(run, folder.path);
  refuseOtherProcesses(run, config);
  tellChanges(run, note);
  let rank = 0;
  const status = await launch(config, argv, io, async (own, { stderr }, group, processes) => {
    rank = group?.rank ?? 0;
    return train(own, { stdout: stderr, stderr }, { group, argv, processes, pauses: run.pauses });
  });
  const compares = rank === 0 && !isLaunched(process.env);
  if (status !== 0 || !compares) return { status, reproduction: null };
  const comparison = compareRuns(run, folder);
  return { status, reproduction: { run: run.folder.path, reproduced: folder.path, ...comparison } };
}

/** Where a run was resumed on something else, it may differ from a run in one piece. */
function tellChanges({ environment, earlier }: RecordedRun, note: (sentence: string) => void): void {
  if (isLaunched(process.env)) return;
  for (const { steps, environment: before } of earlier) {
    const others = compareEnvironments(environment, before).map(({ name, reproduced }) => `${name} ${reproduced}`);
    if (others.length > 0) note(`up to step ${steps} the run had another environment: ${others.join("; ")}.`);
  }
}

/** Behind another name may be the run itself. */
function refuseSameFolder({ folder }: RecordedRun, target: string): void {
  if (!existsSync(target) || realpathSync(target) !== realpathSync(folder.path)) return;
  throw new UserError({
    operation: "reproduce",
    argument: setting("savedir"),
    expected: "a folder in which the run is not",
    received: `${quoted(target)}, which leads to the run itself`,
    remedy: "choose another",
  });
}

/** Gradients' sums, batches and BatchNorm depend on the number of processes. */
function refuseOtherProcesses({ environment: { worldSize } }: RecordedRun, config: LaunchConfig): void {
  if (worldSize === undefined || isLaunched(process.env)) return;
  const cuda = wantsCuda(config) ? devices().filter((name) => name.startsWith("cuda")).length : 0;
  const processes = processesOf(launchPlan(config, process.env, cuda));
  if (processes === worldSize) return;
  throw new UserError({
    operation: "reproduce",
    argument: "the number of processes",
    expected: `${worldSize}, as the run had`,
    received: String(processes),
    remedy: worldSize === 1 ? "start it without torchrun or srun" : "start it as the run was, by torchrun or srun",
  });
}

function processesOf(plan: LaunchPlan): number {
  if (plan.kind === "single") return 1;
  return plan.kind === "rank" ? plan.worldSize : plan.processes * plan.machines;
}
