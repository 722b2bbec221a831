import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { makeFolder, readSafetensorsHeader, readWhole, writeFileAtomic } from "@peekaboo/files";
import { parseJson, quoted, UserError } from "@peekaboo/files/errors";
import { z } from "zod";
import { parsed } from "../checkpoint/format.js";
import { BEGINNING, isOver, type Progress, progressSchema } from "../checkpoint/progress.js";
import { isIncidental } from "../commands/resume.js";
import { type Config, configFromFlags } from "../config/config.js";
import { givenAsJson, givenFromJson } from "../config/given.js";
import { issueInWords } from "../issue.js";
import { type RunFolder, runFolder } from "../runs/run-folder.js";
import { setting } from "../setting.js";
import type { PlannedRun, Study } from "./study.js";

const OPERATION = "read the study";
const MAX_BYTES = 2 ** 24;

/** The files of a study, beside its runs' folders. */
export function studyFiles(folder: string) {
  const file = (name: string) => join(folder, name);
  return { study: file("study.json"), lock: file("study.lock"), prunings: file("prunings") };
}

const recordSchema = z.object({
  name: z.string().max(100),
  about: z.string().max(1000),
  runs: z.array(
    z.object({
      name: z.string().regex(/^[\w+-][\w.+-]{0,200}$/),
      method: z.string().max(100).nullable(),
      settings: z.record(z.string(), z.unknown()),
    }),
  ),
});

/** The study whose folder this is; null where it is none's. @throws {UserError} for a damaged `study.json`. */
export function readStudy(folder: string): Study | null {
  const path = studyFiles(folder).study;
  if (!existsSync(path)) return null;
  const text = Buffer.from(readWhole(OPERATION, path, MAX_BYTES)).toString("utf8");
  const found = recordSchema.safeParse(parseJson(text, (received) => damaged(path, received)));
  if (!found.success) throw damaged(path, `another (${issueInWords(found.error)})`);
  const { name, about, runs } = found.data;
  const planned = runs.map(({ settings, ...run }) => {
    const given = givenFromJson(settings);
    return { ...run, given, config: configFromFlags(given) };
  });
  return { name, about, runs: planned };
}

function damaged(path: string, received: string): UserError {
  const remedy = "it was damaged: sweep in another folder, or remove it";
  return new UserError({
    operation: OPERATION,
    argument: quoted(path),
    expected: "a study's record",
    received,
    remedy,
  });
}

/**
 * Makes a study's folder, or goes on in it. The caller holds its lock.
 *
 * @throws {UserError} for the folder of another study, or of something else.
 */
export function adoptFolder(folder: string, study: Study): void {
  const before = readStudy(folder);
  if (before === null) refuseOthers(folder);
  else if (identity(before) !== identity(study)) throw refusal(folder, `those of ${difference(before, study)}`);
  const runs = study.runs.map(({ name, method, given }) => ({ name, method, settings: givenAsJson(given) }));
  const record = { name: study.name, about: study.about, runs };
  writeFileAtomic(studyFiles(folder).study, [Buffer.from(`${JSON.stringify(record, null, 2)}\n`)]);
}

/** What a sweep's own beginning, killed, may have left. */
const OWN = /^(study\.lock.*|\.writing-.*\.tmp)$/;

function refuseOthers(folder: string): void {
  const others = readdirSync(folder).filter((name) => !OWN.test(name));
  if (others.length > 0) throw refusal(folder, `one that holds ${quoted(others[0] ?? "")} and no study.json`);
}

/** All that decides what a study's runs compute. */
function identity({ runs }: Study): string {
  return JSON.stringify(runs.map(({ name, method, given }) => [name, method, decisive(given)]));
}

function decisive(given: PlannedRun["given"]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(givenAsJson(given)).filter(([path]) => !isIncidental(path)));
}

function difference(before: Study, now: Study): string {
  const [had, has] = [before.runs.length, now.runs.length];
  if (had === has) return `another, ${before.name}, whose runs have other settings`;
  return `another, ${before.name}, of ${had} ${had === 1 ? "run" : "runs"} instead of ${has}`;
}

function refusal(folder: string, received: string): UserError {
  return new UserError({
    operation: "sweep",
    argument: quoted(folder),
    expected: "a new folder, or one that holds this study's runs",
    received,
    remedy: `choose another ${setting("savedir")}, or give the study as it was`,
  });
}

/** Makes the folder in which a study's runs lie. @throws {UserError} when that can't be done. */
export function makeStudyFolder(folder: string): void {
  makeFolder("sweep", folder);
}

/** A run's files in a study's folder. */
export interface StudyRunFolder extends RunFolder {
  /** All that its processes said. */
  readonly log: string;
  /** Why it failed, in one sentence; absent where it didn't. */
  readonly failure: string;
}

export function studyRunFolder(folder: string, name: string): StudyRunFolder {
  const files = runFolder({ savedir: folder, expName: name });
  return { ...files, log: join(files.path, "train.log"), failure: join(files.path, "failure.txt") };
}

/** Whether a run has come to its end, with everything written: its picture comes last. */
export function isFinished(files: RunFolder, config: Config<"epochs" | "maxSteps">): boolean {
  const { picture, config: settings, metrics } = files;
  return isOver(progressOf(files), config) && [picture, settings, metrics].every((path) => existsSync(path));
}

/** What a run's checkpoint says of where it stands; the beginning where there is none, or none that can be read. */
export function progressOf({ checkpoint }: Pick<RunFolder, "checkpoint">): Progress {
  if (!existsSync(checkpoint)) return BEGINNING;
  try {
    const { metadata } = readSafetensorsHeader(checkpoint);
    return parsed(checkpoint, progressSchema, "where the run stood", metadata.progress ?? "");
  } catch (error) {
    // The run itself tells what is wrong with it.
    if (error instanceof UserError) return BEGINNING;
    throw error;
  }
}

/** Keeps why a run failed. */
export function writeFailure({ failure }: StudyRunFolder, sentence: string): void {
  writeFileAtomic(failure, [Buffer.from(`${sentence}\n`)]);
}

/** Why a run failed; null where it didn't, or nothing is told. */
export function readFailure({ failure }: StudyRunFolder): string | null {
  if (!existsSync(failure)) return null;
  return Buffer.from(readWhole(OPERATION, failure, MAX_BYTES))
    .toString("utf8")
    .trim();
}

export function forgetFailure({ failure }: StudyRunFolder): void {
  rmSync(failure, { force: true });
}
