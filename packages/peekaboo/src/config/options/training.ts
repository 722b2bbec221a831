import { choice, integer, number, optional } from "../kinds.js";
import { option } from "../table.js";

/** How long to train, on how many images at once, and with which optimiser. */
export const training = {
  epochs: option({ flags: "--epochs <n>", kind: integer(1), default: 350, help: "Passes over the training images." }),
  maxSteps: option({
    flags: "--max-steps <n>",
    kind: optional(integer(1)),
    default: null,
    defaultText: "no limit",
    help: "Stops after n optimiser steps, then still evaluates and saves.",
  }),
  batchSize: option({
    flags: "--bs, --batch-size <n>",
    kind: integer(1),
    default: 128,
    help: "Images per training step.",
  }),
  optimizer: option({
    flags: "--optimizer <SGD|BOP|BOP2>",
    kind: choice(["SGD", "BOP", "BOP2"]),
    default: "SGD",
    help: "SGD trains everything; BOP and BOP2 (of second order) flip the signs of the convolution weights and leave the rest to SGD.",
  }),
  labelSmoothing: option({
    flags: "--label-smoothing <part>",
    kind: number({ atLeast: 0, below: 1 }),
    default: 0,
    defaultText: "0, the class alone",
    help: "Part of the target that is spread evenly over all classes while training; the training loss that is shown is of such targets, a test's isn't.",
  }),
  bnBatches: option({
    flags: "--bn-batches <n>",
    kind: integer(0),
    default: 0,
    defaultText: "0, which takes training's moving averages",
    help: "Before each test estimates BatchNorm's statistics anew, as the mean over n training batches; best.safetensors holds these, and training goes on with its own.",
  }),
  onNan: option({
    flags: "--on-nan <stop|skip-batch>",
    kind: choice(["stop", "skip-batch"]),
    default: "stop",
    help: "What to do about a loss or gradient that is NaN or infinite: stop, or skip that batch, leave the network as it was and count it; twenty in a row stop the run.",
  }),
};
