import { choice, flag, integer, number, patternValues } from "../kinds.js";
import { option } from "../table.js";

const rate = number({ above: 0, below: 1 });
const flipThreshold = number({ atLeast: 0 });

/** Bop, of first and of second order. */
export const bop = {
  ar: option({
    flags: "--ar <gamma>",
    kind: rate,
    default: 1e-3,
    defaultText: "1e-3",
    help: "Adaptivity rate γ: how much of each gradient enters the average that decides flips.",
  }),
  tau: option({
    flags: "--tau <threshold>",
    kind: flipThreshold,
    default: 1e-6,
    defaultText: "1e-6",
    help: "Threshold τ: a weight flips when that average has its sign and at least this magnitude; BOP2 first divides the average by the gradient's root mean square, so τ is a ratio there, of another scale: try 0.1 with --ar 1e-2 (its paper has 1e-6 with --ar 1e-7).",
  }),
  arSchedule: option({
    flags: "--ar-schedule <shape>",
    kind: choice(["step", "cosine", "linear"]),
    default: "step",
    help: "How γ falls: step (by --ar-decay-ratio every --ar-decay-freq epochs), cosine or linear (to --ar-final).",
  }),
  arDecayFreq: option({
    flags: "--ar-decay-freq <epochs>",
    kind: integer(1),
    default: 100,
    help: "Epochs between two decays of γ in the step schedule.",
  }),
  arDecayRatio: option({
    flags: "--ar-decay-ratio <ratio>",
    kind: number({ above: 0, atMost: 1 }),
    default: 0.1,
    help: "Factor of each such decay.",
  }),
  arDecayWhen: option({
    flags: "--ar-decay-when <after|before>",
    kind: choice(["after", "before"]),
    default: "after",
    defaultText: "after; before with an image folder",
    help: "Whether the step schedule lowers γ after the epoch that completes --ar-decay-freq, or, as the original does on ImageNet, before it.",
  }),
  arFinal: option({
    flags: "--ar-final <gamma>",
    kind: number({ atLeast: 0, below: 1 }),
    default: 0,
    help: "γ at the end of a cosine or linear schedule.",
  }),
  arLayers: option({
    flags: "--ar-layers <name=gamma,...>",
    kind: patternValues(rate),
    default: [],
    defaultText: "none",
    help: "γ of single layers by state name, e.g. layer1.*=1e-4,conv1.weight=5e-4; the last match counts, and the schedule multiplies it by what it makes of --ar.",
  }),
  tauLayers: option({
    flags: "--tau-layers <name=threshold,...>",
    kind: patternValues(flipThreshold),
    default: [],
    defaultText: "none",
    help: "τ of single layers, written like --ar-layers.",
  }),
};

/** What second-order Bop has beside that. */
export const bop2 = {
  sigma: option({
    flags: "--bop2-sigma <sigma>",
    kind: rate,
    default: 1e-3,
    defaultText: "1e-3",
    help: "How much of each squared gradient enters the second average; at the first step the ratio is γ/√σ for every weight, or 1 with the bias correction.",
  }),
  eps: option({
    flags: "--bop2-eps <eps>",
    kind: number({ above: 0 }),
    default: 1e-10,
    defaultText: "1e-10",
    help: "Added to the root of the second average, which divides the first.",
  }),
  biasCorrection: option({
    flags: "--bop2-bias-correction",
    kind: flag(),
    default: false,
    bare: true,
    help: "Rids both averages of their start at zero before they are compared, as Adam does.",
  }),
};
