import { UserError } from "@peekaboo/files/errors";
import { setting } from "../setting.js";
import { leastOf, type MinKept, minKeptInWords } from "./min-kept.js";
import { keptOf } from "./selection.js";

/** @throws {UserError}, telling what does fit, when layers of these sizes can't each keep the minimum at a density. */
export function refuseLargeMinimum(least: MinKept, sizes: readonly number[], density: number): void {
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const budget = keptOf(density, total);
  const needed = (minimum: MinKept) => sizes.reduce((sum, size) => sum + leastOf(minimum, size), 0);
  const wanted = needed(least);
  if (wanted <= budget) return;
  const fitting = largestFitting(least, (minimum) => needed(minimum) <= budget);
  const lower = fitting === null ? "" : `, or ${setting("minKept")} ${minKeptInWords(fitting)} or less`;
  throw new UserError({
    operation: "prune",
    argument: `${setting("minKept")} ${minKeptInWords(least)}`,
    expected: `layers' minima within the ${budget} weights that ${setting("density")} ${density} keeps`,
    received: `${wanted} together`,
    remedy: `give ${setting("density")} ${densityFor(wanted, total)} or more${lower}`,
  });
}

/** A density of few digits at which at least `kept` of `total` weights stay. */
function densityFor(kept: number, total: number): number {
  for (let digits = 3; digits < 15; digits++) {
    const unit = 10 ** (Math.floor(Math.log10(kept / total)) - digits + 1);
    const density = Math.min(1, Number((Math.ceil(kept / total / unit) * unit).toPrecision(digits)));
    if (keptOf(density, total) >= kept) return density;
  }
  return 1;
}

/** The largest minimum of the same unit that fits: whole weights, or a fraction in hundredths of a percent; null for none. */
function largestFitting(least: MinKept, fits: (minimum: MinKept) => boolean): MinKept | null {
  const steps = "weights" in least ? least.weights : Math.ceil(least.fraction * 10_000);
  const at = (step: number): MinKept => ("weights" in least ? { weights: step } : { fraction: step / 10_000 });
  let [fitting, tooMuch] = [0, steps];
  while (tooMuch - fitting > 1) {
    const middle = Math.floor((fitting + tooMuch) / 2);
    if (fits(at(middle))) fitting = middle;
    else tooMuch = middle;
  }
  return fitting === 0 ? null : at(fitting);
}
