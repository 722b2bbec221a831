// A layer's output and gradients, against the five convolutions of docs/algorithm.md §4 written out.
import { numel } from "@peekaboo/files/safetensors";
import { RandomStream } from "@peekaboo/seed";
import { grad, ops, scope, Tensor } from "@peekaboo/torch";
import { describe, expect, it } from "vitest";
import { pabOps } from "../native/library.js";
import type { MaskedConv2dOptions } from "./masked-conv2d.js";
import { PsgConv2d, type PsgOptions, THE_PAPERS } from "./psg-conv2d.js";

/** Seeded values from -1 to 1, a fifth of them zero. */
function random(name: string, shape: readonly number[]): Tensor {
  const words = new Uint32Array(numel(shape));
  new RandomStream(5, name).fillUint32(words);
  const values = Float32Array.from(words, (word) => (word % 5 === 0 ? 0 : word / 2 ** 31 - 1));
  return Tensor.from(values, { shape });
}

interface Given {
  readonly input: Tensor;
  readonly gradient: Tensor;
  readonly weight: Tensor;
  readonly mask: Tensor;
}

/** Output, and gradients of input and weight, as the definition has them. */
function composed(options: Required<MaskedConv2dOptions>, psg: PsgOptions, { input, gradient, weight, mask }: Given) {
  const { stride, padding, dilation, groups, inputSigned } = options;
  const { quantize } = pabOps();
  const effective = ops.mul(weight, mask);
  const convolve = (x: Tensor, w: Tensor) => ops.conv2d(x, w, null, stride, padding, dilation, groups);
  const ofWeight = (x: Tensor, g: Tensor) => {
    const w = effective.detach().requireGrad();
    return grad([convolve(x, w)], [w], { gradients: [g] })[0] as Tensor;
  };
  const x = input.detach().requireGrad();
  const output = convolve(x, effective.detach());
  const [byInput] = grad([output], [x], { gradients: [gradient] });
  const predicted = ofWeight(
    quantize(input, "activation", { bits: psg.msbBits, signed: inputSigned }),
    quantize(gradient, "gradient", { bits: psg.msbBitsGrad, signed: true }),
  );
  const t = psg.threshold.value * ops.max(ops.abs(predicted)).item();
  const mixed = ops.where(
    ops.abs(predicted).ge(t),
    predicted,
    psg.sparsify ? predicted.mul(0) : ofWeight(input, gradient),
  );
  return [output, byInput as Tensor, ops.mul(psg.takeSign ? mixed.sign() : mixed, mask)];
}

/** The same of a layer. */
function computed(layer: PsgConv2d, { input, gradient, weight, mask }: Given): Tensor[] {
  layer.weight.detach().copy_(weight);
  layer.setMask(mask.clone());
  const x = input.detach().requireGrad();
  const output = layer.call(x);
  return [output, ...grad([output], [x, layer.weight], { gradients: [gradient] })];
}

const CONVOLUTIONS: readonly [string, MaskedConv2dOptions, size: readonly [number, number]][] = [
  ["dilated", { inChannels: 4, outChannels: 6, kernelSize: 3, padding: 2, dilation: 2 }, [9, 9]],
  ["of two groups", { inChannels: 4, outChannels: 6, kernelSize: 3, padding: 1, groups: 2 }, [8, 8]],
  [
    "of as many groups as channels, dilated",
    { inChannels: 6, outChannels: 6, kernelSize: 3, dilation: 2, groups: 6 },
    [8, 7],
  ],
  ["of a row", { inChannels: 3, outChannels: 5, kernelSize: [1, 3], padding: [0, 1], inputSigned: true }, [6, 9]],
  [
    "of other strides, paddings and dilations by height and width",
    { inChannels: 4, outChannels: 4, kernelSize: [3, 2], stride: [2, 1], padding: [0, 1], dilation: [1, 3], groups: 2 },
    [9, 8],
  ],
];

const SETTINGS: readonly [string, PsgOptions][] = [
  ["as in the paper", THE_PAPERS],
  ["sparsified", { ...THE_PAPERS, threshold: { mode: "relative", value: 0.2 } }],
  [
    "mixed, signs taken",
    { ...THE_PAPERS, threshold: { mode: "relative", value: 0.3 }, sparsify: false, takeSign: true },
  ],
];

describe.each(CONVOLUTIONS)("a predicted gradient %s", (_, options, size) => {
  it.each(SETTINGS)("is that of the five convolutions: %s", (_, psg) => {
    scope(() => {
      const layer = new PsgConv2d(options, psg);
      const { shape } = layer.weight;
      const images = random("input", [3, options.inChannels, ...size]);
      const input = options.inputSigned === true ? images : ops.relu(images);
      const given = {
        input,
        gradient: random("gradient", layer.call(input).shape),
        weight: random("weight", shape),
        mask: random("mask", shape).gt(0).to({ dtype: "uint8" }),
      };
      const expected = composed(layer.options, psg, given);
      computed(layer, given).forEach((tensor, i) => {
        expect(tensor.shape).toEqual(expected[i]?.shape);
        expect(tensor.abs().sum().item()).toBeGreaterThan(0);
        expect(ops.allclose(tensor, expected[i] as Tensor, 1e-5, 1e-6)).toBe(true);
      });
      layer.dispose();
    });
  });
});
