import { quoted, UserError } from "@peekaboo/files/errors";
import { nearest } from "../../nearest.js";
import type { Pruner } from "../pruner.js";
import * as all from "./all.js";

const pruners: readonly Pruner[] = Object.values(all);

/** What `--pruner` can name. */
export const prunerNames: readonly string[] = pruners.map(({ name }) => name);

/** The pruner of that name. @throws {UserError} with the nearest name when there is none. */
export function findPruner(name: string): Pruner {
  const found = pruners.find((pruner) => pruner.name === name);
  if (found !== undefined) return found;
  const near = nearest(name, prunerNames);
  throw new UserError({
    operation: "prune",
    argument: "the pruner",
    expected: `one of ${prunerNames.join(", ")}`,
    received: quoted(name),
    ...(near === undefined ? {} : { remedy: `did you mean ${near}?` }),
  });
}
