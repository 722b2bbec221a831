import { quoted, UserError } from "@peekaboo/files/errors";
import { architecture } from "./architecture.js";
import { bop } from "./bop.js";
import type { Kind } from "./kind.js";
import { prune } from "./prune.js";
import { psgConv2d } from "./psg-conv2d.js";
import { quantize } from "./quantize.js";
import { train } from "./train.js";

const kinds: ReadonlyMap<string, Kind> = new Map([
  ["quantize", quantize],
  ["psg_conv2d", psgConv2d],
  ["bop", bop],
  ["prune", prune],
  ["train", train],
  ["architecture", architecture],
]);

/** How to run cases of a kind. @throws {UserError} for one that is unknown. */
export function findKind(name: string): Kind {
  const found = kinds.get(name);
  if (found !== undefined) return found;
  throw new UserError({
    operation: "read golden cases",
    argument: "kind",
    expected: `one of ${[...kinds.keys()].join(", ")}`,
    received: quoted(name),
  });
}
