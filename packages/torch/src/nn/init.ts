import { UserError } from "@peekaboo/files/errors";
import { numel } from "@peekaboo/files/safetensors";
import { noGrad } from "../autograd.js";
import * as ops from "../generated/ops.js";
import type { Tensor } from "../tensor.js";

/** The inputs and outputs of one unit: of a [out, in, …kernel] or [out, in] weight. @throws {UserError} for others. */
export function fans(weight: Tensor): { fanIn: number; fanOut: number } {
  const [out, inputs, ...kernel] = weight.shape;
  if (out === undefined || inputs === undefined) {
    throw new UserError({
      operation: "initialise a weight",
      argument: "weight",
      expected: "two or more dimensions",
      received: `[${weight.shape.join(", ")}]`,
    });
  }
  const receptive = numel(kernel);
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

/** How He et al.'s initialisers scale: the gain of the activation (√2 for ReLU), and whose variance is kept. */
export interface KaimingOptions {
  gain?: number;
  /** "in" keeps the variance of the forward pass, "out" that of the backward pass. */
  fan?: "in" | "out";
}

function kaimingStd(weight: Tensor, { gain = Math.SQRT2, fan = "in" }: KaimingOptions): number {
  const { fanIn, fanOut } = fans(weight);
  return gain / Math.sqrt(fan === "in" ? fanIn : fanOut);
}

/** N(0, gain²/fan) (He et al. 2015). */
export function kaimingNormal_(weight: Tensor, options: KaimingOptions = {}): Tensor {
  return normal_(weight, 0, kaimingStd(weight, options));
}

/** U(±gain·√(3/fan)) (He et al. 2015). */
export function kaimingUniform_(weight: Tensor, options: KaimingOptions = {}): Tensor {
  const bound = Math.sqrt(3) * kaimingStd(weight, options);
  return uniform_(weight, -bound, bound);
}

function xavierStd(weight: Tensor, gain: number): number {
  const { fanIn, fanOut } = fans(weight);
  return gain * Math.sqrt(2 / (fanIn + fanOut));
}

/** N(0, gain²·2/(fanIn + fanOut)) (Glorot & Bengio 2010). */
export function xavierNormal_(weight: Tensor, { gain = 1 } = {}): Tensor {
  return normal_(weight, 0, xavierStd(weight, gain));
}

/** U(±gain·√(6/(fanIn + fanOut))) (Glorot & Bengio 2010). */
export function xavierUniform_(weight: Tensor, { gain = 1 } = {}): Tensor {
  const bound = Math.sqrt(3) * xavierStd(weight, gain);
  return uniform_(weight, -bound, bound);
}

/** PyTorch's default of Linear and Conv2d: weight and bias from U(±1/√fanIn). */
export function linearDefault_(weight: Tensor, bias: Tensor | null): void {
  const bound = 1 / Math.sqrt(fans(weight).fanIn);
  uniform_(weight, -bound, bound);
  if (bias !== null) uniform_(bias, -bound, bound);
}
