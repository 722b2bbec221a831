import type { BopConfig, SgdConfig } from "../config/config.js";

/** Where a run stands: the epoch (from 0), the steps done, and how many there will be. */
export interface Position {
  epoch: number;
  step: number;
  totalSteps: number;
}

/** `value` multiplied `times` times, in the order of the reference's schedulers, so with their rounding. */
function repeatedly(value: number, factor: number, times: number): number {
  let result = value;
  for (let i = 0; i < times; i++) result *= factor;
  return result;
}

function between(from: number, to: number, shape: "cosine" | "linear", { step, totalSteps }: Position): number {
  const t = Math.min(1, step / totalSteps);
  // At the ends exactly, without the rounding of the formulas.
  if (t === 0) return from;
  if (t === 1) return to;
  return shape === "linear" ? from + (to - from) * t : to + ((from - to) * (1 + Math.cos(Math.PI * t))) / 2;
}

/** SGD's learning rate for the next step: ×0.1 from each milestone epoch on, or cosine or linear over the run's steps. */
export function learningRate(sgd: SgdConfig, position: Position): number {
  if (sgd.lrSchedule !== "step") return between(sgd.lr, sgd.lrFinal, sgd.lrSchedule, position);
  const passed = sgd.milestones.filter((milestone) => milestone <= position.epoch).length;
  return repeatedly(sgd.lr, 0.1, passed);
}

/** Bop's γ for the next step: × ratio after every `arDecayFreq` epochs, or one epoch earlier, or cosine or linear over the run's steps. */
export function adaptivityRate(bop: BopConfig, position: Position): number {
  if (bop.arSchedule !== "step") return between(bop.ar, bop.arFinal, bop.arSchedule, position);
  const epochs = position.epoch + (bop.arDecayWhen === "before" ? 1 : 0);
  return repeatedly(bop.ar, bop.arDecayRatio, Math.floor(epochs / bop.arDecayFreq));
}
