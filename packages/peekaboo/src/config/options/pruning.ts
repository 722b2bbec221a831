import { prunerNames } from "../../pruning/pruners/registry.js";
import { choice, flag, integer, number, optional } from "../kinds.js";
import { minKept } from "../min-kept.js";
import { option } from "../table.js";
import { listed } from "./listed.js";

/** When, how and how far to prune. */
export const pruning = {
  pruner: option({
    flags: "--pruner <name>",
    kind: optional(choice(prunerNames)),
    default: null,
    defaultText: "no pruning",
    help: `Score that decides which weights stay: ${listed(prunerNames)}. ERK stands for Rand with --prune-scope erk and --mask-shuffle.`,
  }),
  density: option({
    flags: "--prune-ratio, --density <d>",
    kind: number({ above: 0, atMost: 1 }),
    default: 1,
    help: "Density: the fraction of weights kept.",
  }),
  epoch: option({
    flags: "--prune-epoch <n>",
    kind: integer(0),
    default: 0,
    help: "Epoch before which the pruning is complete.",
  }),
  shots: option({
    flags: "--prune-shots <n>",
    kind: integer(1),
    default: 1,
    help: "Prunes in n equal steps, spread over the epochs up to --prune-epoch.",
  }),
  iterations: option({
    flags: "--prune-iters <n>",
    kind: integer(1),
    default: 1,
    help: "Rounds of scoring and masking per shot; SynFlow wants 100, the others 1.",
  }),
  schedule: option({
    flags: "--prune-schedule <shape>",
    kind: choice(["exponential", "linear"]),
    default: "exponential",
    help: "How the density falls from round to round: exponential or linear.",
  }),
  scope: option({
    flags: "--prune-scope <scope>",
    kind: choice(["global", "local", "erk"]),
    default: "global",
    help: "global: the scores of all layers compete; local: each layer keeps the same fraction; erk: small layers keep more, as their shapes say (Erdős–Rényi-kernel).",
  }),
  minKept: option({
    flags: "--min-kept <fraction|n>",
    kind: optional(minKept()),
    default: null,
    defaultText: "no minimum",
    help: "Keeps at least this much of each layer, its best scores, in each round: a fraction (0.01, 1%) or a number of weights (25); other layers give what it takes, so that --prune-ratio holds.",
  }),
  maskShuffle: option({
    flags: "--mask-shuffle",
    kind: flag(),
    default: false,
    bare: true,
    help: "Keeps each layer's number of weights, but places them at random, by the seed and the layer's name alone.",
  }),
  batchSize: option({
    flags: "--prune-batch-size <n>",
    kind: integer(1),
    default: 256,
    help: "Images per batch for the pruners that look at data (a hundred training images); memory grows with it.",
  }),
  verbose: option({
    flags: "--prune-verbose",
    kind: flag(),
    default: false,
    bare: true,
    help: "Prints what each layer kept.",
  }),
};
