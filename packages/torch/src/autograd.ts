import { native } from "./native.js";
import { refusePromise } from "./synchronous.js";
import { Tensor } from "./tensor.js";

/**
 * Runs `body` without recording gradients.
 *
 * Only for synchronous bodies.
 * @throws {UserError} when `body` returns a promise.
 */
export function noGrad<Result>(body: () => Result): Result {
  const before = native().setGradEnabled(false);
  try {
    const result = body();
    refusePromise("noGrad", result);
    return result;
  } finally {
    native().setGradEnabled(before);
  }
}

export interface GradOptions {
  /** The gradients of the outputs; default: ones, for outputs of one element. */
  gradients?: readonly Tensor[];
  /** Keeps what the outputs were computed from, to differentiate them again; default: `createGraph`. */
  retainGraph?: boolean;
  /** Makes the gradients differentiable themselves, for second derivatives. */
  createGraph?: boolean;
  /** Gives null for an input that the outputs don't depend on, instead of an error. */
  allowUnused?: boolean;
}

/** ∂outputs/∂inputs, summed over the outputs, one tensor an input; leaves every `.grad` alone. */
export function grad(
  outputs: readonly Tensor[],
  inputs: readonly Tensor[],
  options?: GradOptions & { allowUnused?: false },
): Tensor[];
export function grad(outputs: readonly Tensor[], inputs: readonly Tensor[], options: GradOptions): (Tensor | null)[];
export function grad(
  outputs: readonly Tensor[],
  inputs: readonly Tensor[],
  options: GradOptions = {},
): (Tensor | null)[] {
  const { gradients = [], createGraph = false, retainGraph = createGraph, allowUnused = false } = options;
  const handles = (tensors: readonly Tensor[]) => tensors.map((tensor) => tensor.handle);
  return native()
    .grad(handles(outputs), handles(inputs), handles(gradients), retainGraph, createGraph, allowUnused)
    .map((handle) => (handle === null ? null : new Tensor(handle)));
}
