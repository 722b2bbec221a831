import { choice, flag, integer, magnitude } from "../kinds.js";
import { option } from "../table.js";

const bits = integer(1, 32);

/** The predicted gradients of Psg networks. */
export const psg = {
  backward: option({
    flags: "--psg-no-backward",
    kind: flag(),
    default: true,
    bare: false,
    help: "Uses the plain weight gradient instead of the predicted one.",
  }),
  msbBits: option({
    flags: "--msb-bits <bits>",
    kind: bits,
    default: 4,
    help: "Bits of a layer's input in the predicted gradient; 32 leaves it as it is.",
  }),
  msbBitsWeight: option({
    flags: "--msb-bits-weight <bits>",
    kind: bits,
    default: 4,
    help: "Recorded only: the weight's bits change no result, here as in the reference.",
  }),
  msbBitsGrad: option({
    flags: "--msb-bits-grad <bits>",
    kind: bits,
    default: 8,
    help: "Bits of the output gradient in the predicted gradient; 32 leaves it as it is.",
  }),
  threshold: {
    mode: option({
      flags: "--psg-threshold-mode <mode>",
      kind: choice(["relative", "absolute"]),
      default: "relative",
      help: "relative: the threshold is a fraction of a layer's largest predicted gradient; absolute: a gradient itself.",
    }),
    value: option({
      flags: "--psg-threshold <t>",
      kind: magnitude(),
      default: 0,
      help: "Predicted gradients from this magnitude on are trusted; a minus sign is ignored.",
    }),
  },
  sparsify: option({
    flags: "--psg-sparsify",
    kind: flag(),
    default: false,
    bare: true,
    help: "Sets gradients below the threshold to zero instead of computing them exactly.",
  }),
  takeSign: option({
    flags: "--psg-no-take-sign",
    kind: flag(),
    default: true,
    bare: false,
    help: "Keeps the gradient's magnitude instead of its sign alone.",
  }),
};
