import { printable, quoted, UserError } from "@peekaboo/files/errors";
import { z } from "zod";
import { configFromFlags, type TrainConfig } from "../config/config.js";
import { asText, type Given, givenAsJson, givenFromJson, pathOf, takesValue } from "../config/given.js";
import { trainOptions } from "../config/options.js";
import { longFlags, type Option } from "../config/table.js";
import { issueInWords } from "../issue.js";
import { nearest } from "../nearest.js";

const OPERATION = "read the study";
/** Far above what anybody waits for; it bounds what a few lists can ask for. */
const MAX_RUNS = 10_000;
/** Characters of a run's name: it is a folder's. */
const MAX_NAME = 120;

const settings = z.record(z.string(), z.unknown());
const grid = z.record(z.string(), z.array(z.unknown()).min(1));

const studySchema = z.strictObject({
  /** One name, which is also its folder's. */
  name: z.string().regex(/^[\w.+-]{1,100}$/, "expected letters, digits and . _ + - alone"),
  /** What it asks, in a sentence. */
  about: z.string().max(1000).default(""),
  /** The settings of all runs. */
  base: settings.default({}),
  /** The settings of one method each, whose `name` is the method's; each is combined with the grid. */
  runs: z.array(settings).min(1).default([{}]),
  /** The values of settings, of which every combination is run; of several grids, each one's. */
  grid: z.union([grid, z.array(grid).min(1)]).default({}),
});

/** A study, read. */
export type StudyDocument = z.output<typeof studySchema>;

/** What a study's file holds (`docs/studies.md`), for whoever writes one in TypeScript: settings are named as in `config.json`. */
export interface StudyFile {
  /** Letters, digits and `. _ + -`; also the name of its folder. */
  readonly name: string;
  /** What it asks, in a sentence. */
  readonly about?: string;
  /** The settings of all runs. */
  readonly base?: Readonly<Record<string, unknown>>;
  /** One method each, with its settings. */
  readonly runs?: readonly Readonly<Record<string, unknown> & { name?: string }>[];
  /** Settings and their values, of which each method has every combination; of several grids, those of each. */
  readonly grid?: StudyGrid | readonly StudyGrid[];
}

/** The values of settings, by their paths, such as `pruning.density`. */
export type StudyGrid = Readonly<Record<string, readonly unknown[]>>;

/** One run of a study. */
export interface PlannedRun {
  /** Its folder's name. */
  readonly name: string;
  /** The method's name, where the study gives it one. */
  readonly method: string | null;
  /** The settings that differ from those of `peekaboo train` without a flag. */
  readonly given: Given;
  readonly config: TrainConfig;
}

/** A study with its runs, each once. */
export interface Study {
  readonly name: string;
  readonly about: string;
  readonly runs: readonly PlannedRun[];
}

/** Values of single settings, of which every combination is run. */
export type Axes = ReadonlyMap<Option<unknown>, readonly unknown[]>;

/** Settings that belong to the sweep, or would take a run elsewhere. */
const OWN: ReadonlySet<string> = new Set(["savedir", "expName", "sharePruning", "resume", "evaluate", "json"]);

/** Whether a study may set what is at a path. */
export function isForStudies(path: string): boolean {
  return !OWN.has(path) && !path.startsWith("distributed.");
}

/** The study that JSON holds. @throws {UserError} for anything else, in one sentence; `source` names where it comes from. */
export function parseStudy(source: string, json: unknown): StudyDocument {
  const found = studySchema.safeParse(json);
  if (found.success) return found.data;
  const fields = Object.keys(studySchema.shape);
  const unknown = found.error.issues.flatMap((issue) => (issue.code === "unrecognized_keys" ? issue.keys : []))[0];
  const near = unknown === undefined ? undefined : nearest(unknown, fields);
  throw new UserError({
    operation: OPERATION,
    argument: quoted(source),
    expected: `an object with ${fields.slice(0, -1).join(", ")} and ${fields.at(-1)}, of which name alone is needed`,
    received: `another (${issueInWords(found.error)})`,
    ...(near === undefined ? {} : { remedy: `did you mean ${near}?` }),
  });
}

/**
 * The runs that a study asks for, in its order; a run that several grids hold comes once.
 *
 * @param axes values that take the place of the study's own, for all runs
 * @throws {UserError} for an unknown setting, an invalid value, or values that don't go together; `source` names the study.
 */
export function planStudy(source: string, document: StudyDocument, axes: Axes = new Map()): Study {
  const base = read(source, document.base);
  const methods = document.runs.map((entry) => methodOf(source, entry));
  const grids = [document.grid].flat().map((own) => new Map([...axesOf(source, own), ...axes]));
  const count = methods.length * grids.reduce((sum, one) => sum + sizeOf(one), 0);
  if (count > MAX_RUNS) throw refusal(source, "the grid", `at most ${MAX_RUNS} runs`, String(count));
  const runs = methods.flatMap(({ method, given }) =>
    grids.flatMap((one) => combinations(one).map((own) => ({ method, given: new Map([...base, ...given, ...own]) }))),
  );
  const named = new Set(methods.flatMap(({ method, given }) => (method === null ? [] : [...given.keys()])));
  const { name, about } = document;
  return { name, about, runs: withNames(once(source, runs), named) };
}

interface UnnamedRun {
  readonly method: string | null;
  readonly given: Given;
}

function methodOf(source: string, { name, ...entry }: Readonly<Record<string, unknown>>): UnnamedRun {
  if (name !== undefined && (typeof name !== "string" || name.trim() === "" || name.length > 100)) {
    throw refusal(source, "the name of a method", "a text of at most 100 characters", JSON.stringify(name));
  }
  return { method: name ?? null, given: read(source, entry) };
}

function axesOf(source: string, lists: Readonly<Record<string, readonly unknown[]>>): [Option<unknown>, unknown[]][] {
  return Object.entries(lists).map(([path, values]) => {
    const given = values.map((value) => [...read(source, { [path]: value })]);
    const [[option] = []] = given[0] ?? [];
    if (option === undefined || given.some((one) => one.length !== 1 || one[0]?.[0] !== option))
      throw refusal(source, path, "one setting by its whole path, such as pruning.density", "several");
    return [option, given.map((one) => one[0]?.[1])];
  });
}

/** The settings of JSON that a study may have. */
function read(source: string, json: Readonly<Record<string, unknown>>): Given {
  const given = naming(quoted(source), () => givenFromJson(json));
  for (const option of given.keys()) {
    const path = pathOf(option);
    if (!isForStudies(path))
      throw refusal(source, path, "a setting of what a run computes", "one that the sweep itself gives");
  }
  return given;
}

function sizeOf(axes: Axes): number {
  return [...axes.values()].reduce((product, values) => product * values.length, 1);
}

function combinations(axes: Axes): Given[] {
  return [...axes].reduce<Map<Option<unknown>, unknown>[]>(
    (found, [option, values]) => found.flatMap((one) => values.map((value) => new Map([...one, [option, value]]))),
    [new Map()],
  );
}

/** The runs with their configurations, without those that are there already. */
function once(source: string, runs: readonly UnnamedRun[]): (UnnamedRun & { config: TrainConfig })[] {
  const seen = new Set<string>();
  return runs.flatMap((run) => {
    const place = `the run ${printable(JSON.stringify(givenAsJson(run.given)))} of ${quoted(source)}`;
    const config = naming(place, () => configFromFlags(run.given));
    const key = JSON.stringify([run.method, config]);
    if (seen.has(key)) return [];
    seen.add(key);
    return [{ ...run, config }];
  });
}

/** The runs with a name each: the method's, and the values of what varies beside the settings that make a method, the seed last. */
function withNames<T extends UnnamedRun>(
  runs: readonly T[],
  methods: ReadonlySet<Option<unknown>>,
): (T & { name: string })[] {
  const { seed } = trainOptions;
  const worth = (given: Given, option: Option<unknown>) => (given.has(option) ? given.get(option) : option.default);
  const options = [...new Set(runs.flatMap(({ given }) => [...given.keys()]))].filter(
    (option) =>
      option !== seed &&
      !methods.has(option) &&
      new Set(runs.map(({ given }) => JSON.stringify(worth(given, option)))).size > 1,
  );
  const taken = new Map<string, number>();
  return runs.map((run) => {
    const parts = options.map((option) => settingInWords(option, worth(run.given, option)));
    const words = [run.method ?? "", ...parts, settingInWords(seed, worth(run.given, seed))];
    const name = folderNameOf(words.filter((word) => word !== "").join("-"));
    const number = (taken.get(name.toLowerCase()) ?? 0) + 1;
    taken.set(name.toLowerCase(), number);
    return { ...run, name: number === 1 ? name : `${name}+${number}` };
  });
}

/** A setting's value in a word: names as they are, other values behind the flag's name: `SynFlow`, `density0.1`, `mask-shuffle`. */
export function settingInWords(option: Option<unknown>, value: unknown): string {
  const flag = longFlags(option).at(-1)?.replace("--", "") ?? "";
  if (!takesValue(option)) return value === option.bare ? flag : `not-${flag}`;
  if (value === null) return `no-${flag}`;
  return typeof value === "string" ? value : `${flag}${asText(value)}`;
}

function folderNameOf(words: string): string {
  const safe = words.replace(/[^\w.+-]+/g, "_").replace(/^[.-]+/, "");
  return safe.slice(0, MAX_NAME) || "run";
}

/** Does it, and has what goes wrong named after the study. */
function naming<T>(source: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const { argument, expected, received, remedy, cause } = error;
    const parts = { operation: OPERATION, argument: `${argument} in ${source}`, expected, received, cause };
    throw new UserError(remedy === undefined ? parts : { ...parts, remedy });
  }
}

function refusal(source: string, argument: string, expected: string, received: string): UserError {
  return new UserError({
    operation: OPERATION,
    argument: `${printable(argument)} in ${quoted(source)}`,
    expected,
    received: printable(received),
  });
}
