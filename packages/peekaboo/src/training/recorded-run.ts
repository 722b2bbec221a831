import { basename, dirname, join, resolve } from "node:path";
import { parseJson, quoted, UserError } from "@peekaboo/torch/errors";
import { readWhole, withFile } from "@peekaboo/torch/files";
import { IMAGE_FOLDER } from "../config/options.js";
import { parseConfig, type TrainConfig } from "../config.js";
import { issueInWords } from "../issue.js";
import { readCheckpoint } from "./checkpoint.js";
import { type Environment, environmentSchema } from "./environment.js";
import { type RunFolder, runFolder } from "./run-folder.js";

const OPERATION = "reproduce";
/** Far above what all settings take. */
const MAX_CONFIG_BYTES = 2 ** 20;

/** A run that is over: its files, what it was asked for and what it ran on. */
export interface RecordedRun {
  folder: RunFolder;
  config: TrainConfig;
  environment: Environment;
}

/**
 * Reads the folder of a finished run.
 *
 * @throws UserError when a file is missing or damaged, or the run isn't over.
 */
export function readRun(path: string): RecordedRun {
  const whole = resolve(path);
  const folder = runFolder({ savedir: dirname(whole), expName: basename(whole) });
  const { config, environment } = readConfigFile(folder.config);
  withFile(OPERATION, folder.metrics, () => {});
  refuseUnfinished(folder, config);
  return { folder, config, environment };
}

/** Reads a `config.json`, old ones too. Throws UserError for what is none. */
export function readConfigFile(path: string): { config: TrainConfig; environment: Environment } {
  const text = Buffer.from(readWhole(OPERATION, path, MAX_CONFIG_BYTES)).toString("utf8");
  const json = parseJson(text, (received) => damaged(path, "JSON", received));
  if (typeof json !== "object" || json === null) throw damaged(path, "an object", quoted(String(json)));
  const { environment = {}, ...settings }: { environment?: unknown } = json;
  const found = environmentSchema.safeParse(environment);
  if (!found.success) {
    throw damaged(path, "an environment", `another (${issueInWords(found.error)})`);
  }
  return { config: parseConfig(settings), environment: found.data };
}

/** Only the end of a run can be compared. */
function refuseUnfinished({ path, checkpoint }: RunFolder, { epochs, maxSteps }: TrainConfig): void {
  const { stage, progress } = readCheckpoint(checkpoint);
  const { step, epoch, tested } = progress;
  if (stage === "training" && step > 0 && tested && (epoch + 1 >= epochs || step === maxSteps)) return;
  throw new UserError({
    operation: OPERATION,
    argument: quoted(path),
    expected: "a run that has come to its end",
    received: stage === "pruned" ? "a network that was only pruned" : `one that stopped after step ${step}`,
    remedy: "finish it with --resume, or give another",
  });
}

/** Where a run is to be repeated. */
export interface Place {
  /** Default: beside the run. */
  savedir: string | null;
}

/**
 * The settings that repeat a run in another folder, `NAME-reproduced`: from its beginning, if it was interrupted or not, with
 * as many threads as it had.
 */
export function settingsToRepeat({ folder, config, environment }: RecordedRun, { savedir }: Place): TrainConfig {
  return {
    ...config,
    savedir: savedir ?? dirname(folder.path),
    expName: `${basename(folder.path)}-reproduced`,
    resume: resumedFromItself(config, folder) ? "never" : config.resume,
    // What was imported is in the data folder.
    data: config.dataset === IMAGE_FOLDER ? config.data : null,
    threads: config.threads ?? environment.threads ?? null,
    // A restart would add flags of train's to the command line.
    distributed: { ...config.distributed, maxRestarts: 0 },
    evaluate: false,
    json: false,
  };
}

/** A run that went on from its own checkpoint began without one. */
function resumedFromItself({ resume }: TrainConfig, { path, best, checkpoint, pruned }: RunFolder): boolean {
  if (resume === "auto" || resume === "never") return true;
  const own = [best, checkpoint, pruned].map((file) => resolve(join(path, basename(file))));
  return own.includes(resolve(resume));
}

function damaged(argument: string, expected: string, received: string): UserError {
  return new UserError({
    operation: OPERATION,
    argument: quoted(argument),
    expected,
    received,
    remedy: "give the folder of a run of `peekaboo train`",
  });
}
