import { existsSync, readdirSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { isFolder } from "@peekaboo/files";
import { quoted, UserError } from "@peekaboo/files/errors";
import { flagsFrom } from "../config/given.js";
import { readRecord } from "../runs/run-record.js";
import type { RunResult } from "./results.js";
import { readFacts } from "./run-facts.js";
import type { Study } from "./study.js";
import { isFinished, readFailure, readStudy, type StudyRunFolder, studyRunFolder } from "./study-folder.js";

/** What one folder holds: a study, a run, or a folder of those. */
export interface Collection {
  /** What it is called. */
  readonly title: string;
  /** What it asks, in a sentence; may be empty. */
  readonly about: string;
  readonly runs: readonly RunResult[];
}

/**
 * The runs of a study's folder, of a run's, or of a folder of those, done or not.
 *
 * @throws {UserError} when there is none, or a finished run's file is damaged.
 */
export function collect(folder: string): Collection {
  const study = readStudy(folder);
  if (study !== null) return collectStudy(folder, study);
  const title = basename(resolve(folder));
  if (isRun(folder)) return { title, about: "", runs: [runIn(folder, title)] };
  const inside = namesIn(folder).map((name) => ({ name, path: join(folder, name) }));
  const runs = inside.flatMap(({ name, path }) => {
    const own = readStudy(path);
    if (own !== null) return collectStudy(path, own).runs.map((run) => ({ ...run, name: `${name}/${run.name}` }));
    return isRun(path) ? [runIn(path, name)] : [];
  });
  if (runs.length === 0) throw nothingIn(folder);
  return { title, about: "", runs };
}

function isRun(folder: string): boolean {
  return existsSync(join(folder, "config.json"));
}

function namesIn(folder: string): string[] {
  if (!isFolder(folder)) return [];
  return readdirSync(folder)
    .filter((name) => isFolder(join(folder, name)))
    .sort();
}

function nothingIn(folder: string): UserError {
  return new UserError({
    operation: "report",
    argument: quoted(folder),
    expected: "a folder with runs of `peekaboo train` or `peekaboo sweep`",
    received: isFolder(folder) ? "none" : "no folder",
    remedy: "give the folder of a run, of several, or of a study",
  });
}

function collectStudy(folder: string, { name, about, runs }: Study): Collection {
  const results = runs.map(({ name: run, method, given, config }): RunResult => {
    const files = studyRunFolder(folder, run);
    const command = ["train", ...flagsFrom(given)];
    return { name: run, method, config, command, ...outcomeOf(files, config) };
  });
  return { title: name, about, runs: results };
}

function runIn(path: string, name: string): RunResult {
  const whole = resolve(path);
  const files = studyRunFolder(dirname(whole), basename(whole));
  const { config, environment } = readRecord(files.config);
  return { name, method: null, config, command: environment.commandLine ?? [], ...outcomeOf(files, config) };
}

function outcomeOf(
  files: StudyRunFolder,
  config: RunResult["config"],
): Pick<RunResult, "status" | "failure" | "facts"> {
  if (isFinished(files, config)) return { status: "done", failure: null, facts: readFacts(files) };
  const failure = readFailure(files);
  return { status: failure === null ? "unfinished" : "failed", failure, facts: null };
}
