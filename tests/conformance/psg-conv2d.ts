import { asTypedArray, type TensorEntry } from "@peekaboo/files/safetensors";
import { grad, ops, scope, type Tensor } from "@peekaboo/torch";
import { z } from "zod";
import type { PsgOptions } from "#peekaboo/layers/psg-conv2d";
import { pabOps } from "#peekaboo/native/library";
import { compareTensor, type Measurement, relativeError, valuesLike } from "./compare.js";
import { defineKind } from "./kind.js";

/** How far from the threshold, in parts of it, rounding may decide which side a gradient is on. */
const THRESHOLD_MARGIN = 1e-5;

/** The predicted sign gradient's parameters as a case holds them; msbBitsWeight changes no result. */
export const psgSchema = z.object({
  msbBits: z.int().positive(),
  msbBitsWeight: z.int().positive(),
  msbBitsGrad: z.int().positive(),
  /** Below 0: relative to the largest gradient, with the absolute value; else absolute. */
  threshold: z.number(),
  sparsify: z.boolean(),
  takeSign: z.boolean(),
});

/** A case's parameters as the layers take them. */
export function psgOptionsOf(params: z.output<typeof psgSchema>): PsgOptions {
  const { msbBits, msbBitsGrad, threshold, sparsify, takeSign } = params;
  const mode = threshold < 0 ? "relative" : "absolute";
  return { backward: true, msbBits, msbBitsGrad, threshold: { mode, value: Math.abs(threshold) }, sparsify, takeSign };
}

const schema = psgSchema.extend({
  stride: z.int().positive(),
  padding: z.int().nonnegative(),
  inputSigned: z.boolean(),
});

type Params = z.output<typeof schema>;

interface Inputs {
  input: Tensor;
  weight: Tensor;
  mask: Tensor;
  gradOutput: Tensor;
}

/** One PSG convolution, forward and backward (docs/algorithm.md §4). */
export const psgConv2d = defineKind(schema, (params, { file, tolerance }) => {
  const golden = file();
  return scope(() => {
    const inputs = {
      input: golden.tensor("input").requireGrad(),
      weight: golden.tensor("weight").requireGrad(),
      mask: golden.tensor("mask"),
      gradOutput: golden.tensor("grad_output"),
    };
    const output = convolve(params, inputs);
    const { input, weight, gradOutput } = inputs;
    const [gradInput, gradWeight] = grad([output], [input, weight], { gradients: [gradOutput] });
    if (gradInput === undefined || gradWeight === undefined) throw new TypeError("grad: expected two gradients");
    return [
      compareTensor("output", output, golden.entry("output"), tolerance),
      compareTensor("grad_input", gradInput, golden.entry("grad_input"), tolerance),
      compareWeights(params, inputs, gradWeight, golden.entry("grad_weight"), tolerance),
    ];
  });
});

function convolve(params: Params, { input, weight, mask }: Inputs): Tensor {
  const { stride, padding, inputSigned } = params;
  const { msbBits, msbBitsGrad, threshold, sparsify, takeSign } = psgOptionsOf(params);
  return pabOps().psgConv2d(input, weight, mask, null, {
    stride,
    padding,
    inputSigned,
    msbBits,
    msbBitsGrad,
    threshold: threshold.value,
    relative: threshold.mode === "relative",
    sparsify,
    takeSign,
  });
}

/** Compares the weight gradients, but for those so close to the threshold that rounding decides. */
function compareWeights(
  params: Params,
  inputs: Inputs,
  gradWeight: Tensor,
  expected: TensorEntry,
  limit: number,
): Measurement {
  const name = "grad_weight";
  const undecided = nearThreshold(params, inputs);
  const wanted = asTypedArray(expected);
  const actual = Array.from(valuesLike(expected, gradWeight, name), (value, i) => (undecided[i] ? wanted[i] : value));
  return { what: name, error: relativeError(actual.map(Number), wanted), limit };
}

/** Which weights have a predicted gradient G within the margin of the threshold, by the definition's own steps. */
function nearThreshold(params: Params, { input, weight, gradOutput }: Inputs): boolean[] {
  const { stride, padding, inputSigned } = params;
  const { msbBits, msbBitsGrad, threshold } = psgOptionsOf(params);
  const { quantize } = pabOps();
  const output = ops.conv2d(
    quantize(input.detach(), "activation", { bits: msbBits, signed: inputSigned }),
    weight,
    null,
    stride,
    padding,
  );
  const [predicted] = grad([output], [weight], {
    gradients: [quantize(gradOutput, "gradient", { bits: msbBitsGrad, signed: true })],
  });
  const magnitudes = Array.from(predicted?.toFloat32Array() ?? [], Math.abs);
  const largest = magnitudes.reduce((max, value) => Math.max(max, value), 0);
  const t = threshold.mode === "relative" ? threshold.value * largest : threshold.value;
  // Strictly less: every gradient reaches a threshold of 0, so nothing is undecided there.
  return magnitudes.map((magnitude) => Math.abs(magnitude - t) < THRESHOLD_MARGIN * t);
}
