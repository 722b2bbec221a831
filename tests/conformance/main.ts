import { printable } from "@peekaboo/files/errors";
import { reportFailure, UsageError } from "#peekaboo/cli/usage";
import type { Io } from "#peekaboo/console/io";
import { caseSchema, type ListedCase, readCases, validated } from "./cases.js";
import { figureOf, pass } from "./compare.js";
import { findKind } from "./registry.js";

const REASON_LENGTH = 160;

/** What came of one case: its worst figure, or why it couldn't be measured. */
interface Verdict {
  readonly passed: boolean;
  readonly figure: string;
}

/**
 * Runs the golden cases of the folder that is the only argument and prints `ok NAME figure` or `FAIL NAME figure` for
 * each, then `N passed, N failed`. Returns the exit status: 1 if a case failed, 2 when the folder holds no cases.
 */
export async function main(argv: readonly string[], io: Io): Promise<number> {
  try {
    const [folder, ...rest] = argv;
    if (folder === undefined || rest.length > 0) throw new UsageError("usage: npm run conformance -- DIR");
    return await runAll(readCases(folder), folder, io);
  } catch (error) {
    return reportFailure(error, io);
  }
}

async function runAll(cases: readonly ListedCase[], folder: string, { stdout }: Io): Promise<number> {
  let failed = 0;
  for (const listed of cases) {
    const { passed, figure } = await judge(listed, folder);
    if (!passed) failed++;
    stdout.write(`${passed ? "ok" : "FAIL"} ${listed.name} ${figure}\n`);
  }
  stdout.write(`${cases.length - failed} passed, ${failed} failed\n`);
  return failed > 0 ? 1 : 0;
}

async function judge({ definition }: ListedCase, folder: string): Promise<Verdict> {
  try {
    const golden = validated(caseSchema, definition, "the case");
    const measurements = await findKind(golden.kind)(golden, folder);
    return { passed: pass(measurements), figure: printable(figureOf(measurements)) };
  } catch (error) {
    return { passed: false, figure: reasonOf(error) };
  }
}

/** The start of an error's message, on one line. */
function reasonOf(error: unknown): string {
  const text = (error instanceof Error ? error.message : String(error)).replace(/[\s\p{C}]+/gu, " ");
  return text.length > REASON_LENGTH ? `${text.slice(0, REASON_LENGTH)}…` : text;
}
