import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { errorCode, readWhole } from "@peekaboo/files";
import { parseJson, printable, quoted, UserError } from "@peekaboo/files/errors";
import { parseStudy, type StudyDocument } from "./study.js";

const OPERATION = "read the study";
const MAX_BYTES = 2 ** 24;
/** Names of modules, whose default export is the study: they are the user's own program. */
const MODULE = /\.[cm]?[jt]s$/;

/** The study in a file of JSON, or that a module exports by default. @throws {UserError} when it is none. */
export async function loadStudy(path: string): Promise<StudyDocument> {
  if (MODULE.test(path)) return parseStudy(path, await exported(path));
  const text = Buffer.from(readWhole(OPERATION, path, MAX_BYTES)).toString("utf8");
  const expected = "JSON, or a module's name, which ends in .mjs, .js or .ts";
  const json = parseJson(
    text,
    (received) => new UserError({ operation: OPERATION, argument: quoted(path), expected, received }),
  );
  return parseStudy(path, json);
}

async function exported(path: string): Promise<unknown> {
  // What can't be read is told as for any other file.
  readWhole(OPERATION, path, MAX_BYTES);
  try {
    const module: { default?: unknown } = await import(pathToFileURL(resolve(path)).href);
    return module.default;
  } catch (error) {
    const typed = errorCode(error) === "ERR_UNKNOWN_FILE_EXTENSION";
    throw new UserError({
      operation: OPERATION,
      argument: quoted(path),
      expected: "a module that Node can load, with a study as its default export",
      received: typed ? "TypeScript" : printable(error instanceof Error ? error.message : String(error)),
      remedy: typed ? "use a Node that strips types (22.18 or newer), or write it in JavaScript" : "correct the module",
      cause: error,
    });
  }
}
