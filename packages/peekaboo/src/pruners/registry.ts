import { UserError } from "@peekaboo/torch/errors";
import { nearest } from "../nearest.js";
import { magnitude } from "./magnitude.js";
import type { Pruner } from "./pruner.js";
import { synFlow } from "./synflow.js";

const pruners: readonly Pruner[] = [magnitude, synFlow];

/** The pruner of that name. Throws UserError with the nearest name when there is none. */
export function findPruner(name: string): Pruner {
  const found = pruners.find((pruner) => pruner.name === name);
  if (found !== undefined) return found;
  const names = pruners.map((pruner) => pruner.name);
  const near = nearest(name, names);
  throw new UserError({
    operation: "prune",
    argument: "the pruner",
    expected: `one of ${names.join(", ")}`,
    received: JSON.stringify(name),
    ...(near === undefined ? {} : { remedy: `did you mean ${near}?` }),
  });
}
