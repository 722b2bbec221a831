import { guarded, native } from "./native.js";
import { Tensor } from "./tensor.js";

/** Runs `body` without recording gradients. */
export function noGrad<Result>(body: () => Result): Result {
  const before = native().setGradEnabled(false);
  try {
    return body();
  } finally {
    native().setGradEnabled(before);
  }
}

export interface GradOptions {
  /** The gradients of the outputs; default: ones, for outputs of one element. */
  gradients?: readonly Tensor[];
  retainGraph?: boolean;
  /** Makes the gradients differentiable themselves, for second derivatives. */
  createGraph?: boolean;
  /** Gives zero-less null for an input that the outputs don't depend on, instead of an error. */
  allowUnused?: boolean;
}

/** ∂outputs/∂inputs, summed over the outputs, one tensor an input; leaves every `.grad` alone. */
export function grad(outputs: readonly Tensor[], inputs: readonly Tensor[], options?: GradOptions): Tensor[];
export function grad(
  outputs: readonly Tensor[],
  inputs: readonly Tensor[],
  options: GradOptions & { allowUnused: true },
): (Tensor | null)[];
export function grad(
  outputs: readonly Tensor[],
  inputs: readonly Tensor[],
  options: GradOptions = {},
): (Tensor | null)[] {
  const { gradients = [], createGraph = false, retainGraph = createGraph, allowUnused = false } = options;
  const handles = (tensors: readonly Tensor[]) => tensors.map((tensor) => tensor.handle);
  const found = guarded((addon) =>
    addon.grad(handles(outputs), handles(inputs), handles(gradients), retainGraph, createGraph, allowUnused),
  );
  return found.map((handle) => (handle === null ? null : new Tensor(handle)));
}
