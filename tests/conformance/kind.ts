import { join } from "node:path";
import { UserError } from "@peekaboo/files/errors";
import type { z } from "zod";
import { type caseSchema, validated } from "./cases.js";
import type { Measurement } from "./compare.js";
import { GoldenFile } from "./golden-file.js";

/** What a kind of case measures with, beside the case's parameters. */
export interface CaseContext {
  readonly tolerance: number;
  /** The case's own file. @throws {UserError} when it has none. */
  file(): GoldenFile;
  /** Another file of the folder. */
  open(name: string): GoldenFile;
}

/** Runs a case of one kind and compares; throws when it can't. */
export type Kind = (
  golden: z.output<typeof caseSchema>,
  folder: string,
) => readonly Measurement[] | Promise<readonly Measurement[]>;

/** A kind of case: what its parameters look like, and how to measure it. */
export function defineKind<Schema extends z.ZodType>(
  schema: Schema,
  measure: (params: z.output<Schema>, context: CaseContext) => ReturnType<Kind>,
): Kind {
  return ({ params, file, tolerance }, folder) => {
    const open = (name: string) => new GoldenFile(join(folder, name));
    return measure(validated(schema, params, "params"), {
      tolerance,
      open,
      file: () => {
        if (file !== undefined) return open(file);
        throw new UserError({
          operation: "read golden cases",
          argument: "file",
          expected: "the name of a safetensors file",
          received: "none",
        });
      },
    });
  };
}
