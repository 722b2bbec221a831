import { ascendingIntegers, choice, number } from "../kinds.js";
import { option } from "../table.js";

/** The learning rate, momentum and weight decay of SGD. */
export const sgd = {
  lr: option({ flags: "--lr <rate>", kind: number({ atLeast: 0 }), default: 0.1, help: "Learning rate of SGD." }),
  momentum: option({
    flags: "--momentum <m>",
    kind: number({ atLeast: 0, below: 1 }),
    default: 0.9,
    help: "Momentum of SGD.",
  }),
  weightDecay: option({
    flags: "--weight-decay <d>",
    kind: number({ atLeast: 0 }),
    default: 5e-4,
    defaultText: "5e-4",
    help: "L2 penalty that SGD adds to the gradient.",
  }),
  lrSchedule: option({
    flags: "--lr-schedule <shape>",
    kind: choice(["step", "cosine", "linear"]),
    default: "step",
    help: "How the learning rate falls: step (to a tenth at each milestone), cosine or linear (to --lr-final).",
  }),
  milestones: option({
    flags: "--milestones <epochs>",
    kind: ascendingIntegers(),
    default: [80, 120],
    defaultText: "80,120",
    help: "Epochs after which the step schedule multiplies the learning rate by 0.1.",
  }),
  lrFinal: option({
    flags: "--lr-final <rate>",
    kind: number({ atLeast: 0 }),
    default: 0,
    help: "Learning rate at the end of a cosine or linear schedule.",
  }),
};
