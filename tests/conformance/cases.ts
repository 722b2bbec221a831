import { existsSync } from "node:fs";
import { join } from "node:path";
import { readWhole } from "@peekaboo/files";
import { parseJson, printable, quoted, UserError } from "@peekaboo/files/errors";
import { z } from "zod";

/** A case as a folder lists it; only its name is known to be valid, so that a broken case fails alone. */
export interface ListedCase {
  /** Without blanks or control characters. */
  readonly name: string;
  readonly definition: unknown;
}

/** What every case has. */
export const caseSchema = z.object({
  kind: z.string(),
  params: z.unknown(),
  /** The safetensors file with inputs and expected outputs. */
  file: z.string().optional(),
  tolerance: z.number().nonnegative(),
});

/** How far logits may be off, as a part of their largest: architectures.json holds no tolerances. */
const LOGITS_TOLERANCE = 1e-3;

/** Far above what a list of cases takes. */
const MAX_BYTES = 2 ** 26;

const casesSchema = z.array(z.unknown());
const architecturesSchema = z.object({ salt: z.string(), architectures: z.record(z.string(), z.unknown()) });

/**
 * The cases of `cases.json` and then of `architectures.json` in a folder that has at least one of the two.
 * An architecture becomes a case of kind "architecture" whose parameters hold the salt as well.
 * @throws {UserError} when there is neither file, or one that can't be read or holds something else.
 */
export function readCases(folder: string): ListedCase[] {
  const paths = ["cases.json", "architectures.json"].map((name) => join(folder, name));
  const [cases, architectures] = paths.map((path) => (existsSync(path) ? readJson(path) : undefined));
  const [casesPath = "", architecturesPath = ""] = paths;
  if (cases === undefined && architectures === undefined) {
    throw new UserError({
      operation: "read golden cases",
      argument: quoted(folder),
      expected: "a folder with cases.json or architectures.json",
      received: existsSync(folder) ? "one with neither" : "no such folder",
    });
  }
  return [
    ...(cases === undefined ? [] : listCases(validated(casesSchema, cases, casesPath))),
    ...(architectures === undefined
      ? []
      : listArchitectures(validated(architecturesSchema, architectures, architecturesPath))),
  ];
}

function listCases(definitions: readonly unknown[]): ListedCase[] {
  return definitions.map((definition, i) => {
    const named = z.object({ name: z.string().min(1) }).safeParse(definition);
    return { name: nameOf(named.success ? named.data.name : `cases.json[${i}]`), definition };
  });
}

function listArchitectures({ salt, architectures }: z.output<typeof architecturesSchema>): ListedCase[] {
  return Object.entries(architectures).map(([name, network]) => {
    const params = typeof network === "object" ? { ...network, salt } : network;
    return { name: nameOf(name), definition: { kind: "architecture", params, tolerance: LOGITS_TOLERANCE } };
  });
}

/** A name that stands in a table: without blanks. */
function nameOf(text: string): string {
  return printable(text.replace(/[\s\p{C}]+/gu, "_"));
}

function readJson(path: string): unknown {
  const text = new TextDecoder().decode(readWhole("read golden cases", path, MAX_BYTES));
  return parseJson(text, (received) => {
    return new UserError({ operation: "read golden cases", argument: quoted(path), expected: "JSON", received });
  });
}

/**
 * The value as the schema describes it.
 * @throws {UserError} that names the first part of `argument` which the schema doesn't describe.
 */
export function validated<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  argument: string,
): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new UserError({
    operation: "read golden cases",
    argument: printable([argument, ...(issue?.path ?? [])].join(".")),
    expected: "a valid value",
    received: `another (${printable(issue?.message ?? "unknown")})`,
  });
}
