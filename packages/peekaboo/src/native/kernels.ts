import { pabOps } from "./library.js";

/** The instructions that our kernels use on this processor (native/processor.h), by what they compute. */
export interface Kernels {
  /** Convolutions with `--conv fast`; those of `exact` are libtorch's. */
  fast: string;
  /** PSG's weight gradients; `none` where they are computed in floats. */
  integers: string;
  /** The threshold of a pruning's scores. */
  threshold: string;
  /** Convolutions in float64, as pruning has them. */
  float64: string;
}

/** The kernels that were chosen for this processor and these variables of the environment. */
export function chosenKernels(): Kernels {
  const [fast, integers, threshold, float64] = pabOps().chosenKernels();
  return { fast, integers, threshold, float64 };
}
