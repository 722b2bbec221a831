import { readWhole, writeFileAtomic } from "@peekaboo/files";
import { parseJson, quoted, UserError } from "@peekaboo/files/errors";
import { z } from "zod";
import { parseSavedConfig, type TrainConfig } from "../config/config.js";
import { issueInWords } from "../issue.js";
import { differences } from "./differences.js";
import { type Environment, environmentSchema } from "./environment.js";

/** The one command that shows what is wrong with it. */
const OPERATION = "reproduce";
/** Far above what all settings and hundreds of changes to them take. */
const MAX_CONFIG_BYTES = 2 ** 24;

/** A run's settings, and what it ran on. */
export interface RunPart {
  config: TrainConfig;
  environment: Environment;
}

/** What a run's `config.json` holds: settings and environment of its last part, and those before where they were others. */
export interface RunRecord extends RunPart {
  /** The first part first; `steps` are done at its end. */
  earlier: (RunPart & { steps: number })[];
}

const earlierSchema = z.array(
  z.object({
    steps: z.int().nonnegative(),
    settings: z.record(z.string(), z.unknown()),
    environment: environmentSchema,
  }),
);

/** Reads a `config.json`, old ones too. @throws {UserError} for what is none. */
export function readRecord(path: string): RunRecord {
  const text = Buffer.from(readWhole(OPERATION, path, MAX_CONFIG_BYTES)).toString("utf8");
  const json = parseJson(text, (received) => damaged(path, "JSON", received));
  if (typeof json !== "object" || json === null) throw damaged(path, "an object", quoted(String(json)));
  const { environment = {}, earlier = [], ...settings }: { environment?: unknown; earlier?: unknown } = json;
  return {
    config: parseSavedConfig(settings),
    environment: parsed(path, "environment", environmentSchema, environment),
    earlier: parsed(path, "earlier", earlierSchema, earlier).map(({ settings: own, ...part }) => ({
      ...part,
      config: parseSavedConfig(own),
    })),
  };
}

/** The record of a run whose `config.json` can be read, else null. */
export function recordIfWhole(path: string): RunRecord | null {
  try {
    return readRecord(path);
  } catch (error) {
    if (error instanceof UserError) return null;
    throw error;
  }
}

function parsed<T>(path: string, name: string, schema: z.ZodType<T>, value: unknown): T {
  const found = schema.safeParse(value);
  if (found.success) return found.data;
  throw damaged(
    path,
    name === "environment" ? "an environment" : "earlier parts",
    `another (${issueInWords(found.error)})`,
  );
}

/** Writes a `config.json`, whole or not at all. */
export function writeRecord(path: string, { config, environment, earlier }: RunRecord): void {
  const parts = earlier.map(({ steps, config: settings, ...rest }) => ({ steps, settings, ...rest }));
  const record = { ...config, environment, ...(parts.length === 0 ? {} : { earlier: parts }) };
  writeFileAtomic(path, [Buffer.from(`${JSON.stringify(record, null, 2)}\n`)]);
}

/** What only shows or places a run. */
export const OUTWARD: ReadonlySet<string> = new Set([
  "savedir",
  "expName",
  "sharePruning",
  "json",
  "log",
  "printFreq",
  "pruning.verbose",
]);

/** The record of a run that goes on after `steps` steps as `next` says: how it began, and what was otherwise until now, stays. */
export function continued({ earlier, ...last }: RunRecord, steps: number, next: RunPart): RunRecord {
  const { resume, loadPretrained } = last.config;
  const present = { ...next, config: { ...next.config, resume, loadPretrained } };
  const ends = [...earlier, { ...last, steps: Number.POSITIVE_INFINITY }];
  const parts = ends
    // Of a part that began later nothing is left.
    .filter((_, i) => (ends[i - 1]?.steps ?? -1) < steps)
    .map((part) => ({ ...part, steps: Math.min(part.steps, steps) }));
  return { ...present, earlier: parts.filter((part, i) => areOthers(part, parts[i + 1] ?? present)) };
}

function areOthers(before: RunPart, after: RunPart): boolean {
  const settings = differences(before.config, after.config).filter(({ path }) => !OUTWARD.has(path));
  return settings.length > 0 || differences(before.environment, after.environment).length > 0;
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
