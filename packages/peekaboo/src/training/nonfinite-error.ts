import { UserError } from "@peekaboo/torch";
import { type Origin, originInWords } from "../models/first-nonfinite.js";
import { setting } from "../setting.js";
import type { Position } from "./rates.js";

const INTACT = "the run stopped there and the last checkpoint is intact";
const SKIP = `${setting("onNan")} skip-batch passes over single batches`;

/** The settings that the advice depends on: what is zero can't be lowered, and what isn't used not chosen. */
export interface AdvisedSettings {
  readonly sgd: { readonly lr: number };
  readonly loadPretrained?: string | null;
}

/** What may keep numbers finite. */
function steadier({ sgd, loadPretrained = null }: AdvisedSettings): string {
  const weights = loadPretrained === null ? `choose another ${setting("initMethod")}` : "load other weights";
  return sgd.lr > 0 ? `lower ${setting("sgd.lr")}, or ${weights}` : weights;
}

/** What in a step was NaN or infinite. */
export interface Nonfinite {
  readonly what: "loss" | "gradient";
  /** The layer, parameter or other place where it first appears, in words. */
  readonly where: string;
}

/** A step whose loss or gradient is not finite, which changed no weight. */
export class NonfiniteError extends UserError implements Nonfinite {
  readonly what: "loss" | "gradient";
  readonly where: string;

  private constructor({ what, where }: Nonfinite, argument: string, expected: string, received: string, cure: string) {
    super({ operation: "train", argument, expected, received, remedy: `${INTACT}: ${cure}` });
    this.what = what;
    this.where = where;
  }

  /** The loss `value`; NaN or infinity came from `origin`. */
  static loss(value: number, origin: Origin, { epoch, step }: Position, settings: AdvisedSettings): NonfiniteError {
    const where = originInWords(origin);
    const argument = `the loss of step ${step + 1} (epoch ${epoch})`;
    const received = `${Number.isNaN(value) ? "NaN" : "infinity"}, first in ${where}`;
    return new NonfiniteError({ what: "loss", where }, argument, "a finite number", received, cureOf(origin, settings));
  }

  /** The loss on another rank. */
  static elsewhere({ epoch, step }: Position, settings: AdvisedSettings): NonfiniteError {
    const where = "another process";
    const argument = `the loss of step ${step + 1} (epoch ${epoch})`;
    const received = `NaN or infinity on ${where}`;
    const cure = `${steadier(settings)}; ${SKIP}`;
    return new NonfiniteError({ what: "loss", where }, argument, "a finite number", received, cure);
  }

  /** The loss of the test after `step` steps; null for an origin on another rank. */
  static test(
    value: number,
    origin: Origin | null,
    { epoch, step }: Pick<Position, "epoch" | "step">,
    settings: AdvisedSettings,
  ): NonfiniteError {
    const where = origin === null ? "another process" : originInWords(origin);
    const argument = `the test loss after step ${step} (epoch ${epoch})`;
    const received = `${Number.isNaN(value) ? "NaN" : "infinity"}, first in ${where}`;
    return new NonfiniteError({ what: "loss", where }, argument, "a finite number", received, steadier(settings));
  }

  /** The gradient of the parameter `name`, of those that are not finite the first in the backward pass. */
  static gradient(name: string, { epoch, step }: Position, settings: AdvisedSettings): NonfiniteError {
    const where = `the gradient of ${name}`;
    const argument = `${where} in step ${step + 1} (epoch ${epoch})`;
    const cure = `${steadier(settings)}; ${SKIP}`;
    return new NonfiniteError({ what: "gradient", where }, argument, "finite numbers", "NaN or infinity", cure);
  }
}

/** So many batches in a row were skipped, `last` the last, that the run makes no sense. */
export function tooManySkipped(inARow: number, last: NonfiniteError, settings: AdvisedSettings): UserError {
  return new UserError({
    operation: "train",
    argument: `${inARow} batches in a row`,
    expected: "one whose loss and gradient are finite",
    received: `none, lately for ${last.where}`,
    remedy: `${INTACT}: ${steadier(settings)}`,
    cause: last,
  });
}

function cureOf({ kind }: Origin, settings: AdvisedSettings): string {
  if (kind === "input") return `look for damaged images, of which the data set seems to have some; ${SKIP}`;
  // Weights that are not finite stay so: skipping the batch won't help.
  return kind === "parameter" ? steadier(settings) : `${steadier(settings)}; ${SKIP}`;
}
