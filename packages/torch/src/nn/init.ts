import { noGrad } from "../autograd.js";
import * as ops from "../generated/ops.js";
import type { Tensor } from "../tensor.js";

/** The inputs and outputs of one unit: of a [out, in, …kernel] or [out, in] weight. */
export function fans(weight: Tensor): { fanIn: number; fanOut: number } {
  const [out = 1, inputs = 1, ...kernel] = weight.shape;
  const receptive = kernel.reduce((product, extent) => product * extent, 1);
  return { fanIn: inputs * receptive, fanOut: out * receptive };
}

/** Fills with U(low, high) from libtorch's own generator. */
export function uniform_(tensor: Tensor, low: number, high: number): Tensor {
  return noGrad(() => ops.uniform_(tensor, low, high));
}

/** Fills with N(mean, std²) from libtorch's own generator. */
export function normal_(tensor: Tensor, mean = 0, std = 1): Tensor {
  return noGrad(() => ops.normal_(tensor, mean, std));
}

/** Fills with one value. */
export function constant_(tensor: Tensor, value: number): Tensor {
  return noGrad(() => tensor.fill_(value));
}

/** N(0, gain²/fanIn) (He et al. 2015); gain √2 for ReLU. */
export function kaimingNormal_(weight: Tensor, { gain = Math.SQRT2 } = {}): Tensor {
  return normal_(weight, 0, gain / Math.sqrt(fans(weight).fanIn));
}

/** U(±gain·√(3/fanIn)) (He et al. 2015); gain √2 for ReLU. */
export function kaimingUniform_(weight: Tensor, { gain = Math.SQRT2 } = {}): Tensor {
  const bound = gain * Math.sqrt(3 / fans(weight).fanIn);
  return uniform_(weight, -bound, bound);
}

/** N(0, 2/(fanIn + fanOut)) (Glorot & Bengio 2010). */
export function xavierNormal_(weight: Tensor): Tensor {
  const { fanIn, fanOut } = fans(weight);
  return normal_(weight, 0, Math.sqrt(2 / (fanIn + fanOut)));
}

/** PyTorch's default of Linear and Conv2d: weight and bias from U(±1/√fanIn). */
export function linearDefault_(weight: Tensor, bias: Tensor | null): void {
  const bound = 1 / Math.sqrt(fans(weight).fanIn);
  uniform_(weight, -bound, bound);
  if (bias !== null) uniform_(bias, -bound, bound);
}
