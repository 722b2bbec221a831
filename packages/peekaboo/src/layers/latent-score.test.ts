import { scope, Tensor } from "@peekaboo/torch";
import { describe, expect, it } from "vitest";
import { type HiddenAct, LatentScore } from "./latent-score.js";
import { MaskedConv2d } from "./masked-conv2d.js";
import { PsgConv2d } from "./psg-conv2d.js";

const WEIGHT = [2, -3, 5, -7];
const UPSTREAM = [1, 10, 100, 1000];

/** a(t) ⊙ w of four weights, and the gradients for the upstream gradient above. */
function applied(act: HiddenAct, t: readonly number[], density = 1) {
  const latent = new LatentScore({ act, density, scalingInput: false }, [2, 2, 1, 1]);
  const score = latent.parameters.get("t");
  for (const parameter of latent.parameters.values()) parameter.requireGrad();
  return scope(() => {
    score?.detach().copy_(Tensor.of([...t], { dtype: "float32" }).reshape(2, 2, 1, 1));
    const out = latent.applyTo(Tensor.of(WEIGHT, { dtype: "float32" }).reshape(2, 2, 1, 1));
    const upstream = Tensor.of(UPSTREAM, { dtype: "float32" }).reshape(2, 2, 1, 1);
    if (score !== undefined) out.mul(upstream).sum().backward();
    const numbers = (tensor: Tensor | null | undefined) => [...(tensor?.toFloat32Array() ?? [])];
    const gradient = (name: string) => numbers(latent.parameters.get(name)?.grad);
    return { value: numbers(out), t: gradient("t"), lo: gradient("lo"), hi: gradient("hi") };
  });
}

/** Straight through: upstream gradient times weight. */
const STRAIGHT = [2, -30, 500, -7000];

describe("the activation of a latent score", () => {
  it("pruning keeps the weights whose score is above 0, gradients passing all scores", () => {
    expect(applied("pruning", [0.3, -0.2, 0, 1e-7])).toMatchObject({ value: [2, -0, 0, -7], t: STRAIGHT });
  });

  it("flipping gives each weight its score's sign", () => {
    expect(applied("flipping", [0.3, -0.2, -4, 1])).toMatchObject({ value: [2, 3, -5, -7], t: STRAIGHT });
  });

  it("ternary drops what lies between its thresholds, and only what lies outside has a gradient", () => {
    const { value, t, lo, hi } = applied("ternary", [0.3, -0.2, 0.05, -0.09]);
    expect(value.map(Math.abs)).toEqual([2, 3, 0, 0]);
    expect(value.slice(0, 2)).toEqual([2, 3]);
    expect(t.map((gradient) => gradient + 0)).toEqual([2, -30, 0, 0]);
    expect(hi).toEqual([-2]);
    expect(lo).toEqual([30]);
  });

  it("edge-popup keeps the scores of largest magnitude, and gradients take the score's sign", () => {
    const { value, t } = applied("edge-popup", [0.3, -0.9, 0.1, -0.2], 0.5);
    expect(value.map((number) => number + 0)).toEqual([2, -3, 0, 0]);
    expect(t).toEqual([2, 30, 500, 7000]);
  });

  it("none leaves the weight as it is and has no score", () => {
    expect(applied("none", [])).toMatchObject({ value: WEIGHT, t: [] });
  });
});

describe("a convolution with a latent score", () => {
  const latent = { act: "flipping", density: 1, scalingInput: true } as const;
  const shape = { inChannels: 2, outChannels: 2, kernelSize: 1 };

  function run(layer: MaskedConv2d) {
    layer.weight.detach().copy_(Tensor.of(WEIGHT, { dtype: "float32" }).reshape(2, 2, 1, 1));
    layer.latent?.parameters
      .get("t")
      ?.detach()
      .copy_(Tensor.of([1, -1, 1, 1], { dtype: "float32" }).reshape(2, 2, 1, 1));
    layer.setMask(Tensor.of([1, 1, 0, 1], { dtype: "uint8" }).reshape(2, 2, 1, 1));
    const out = layer.call(Tensor.of([1, 10], { dtype: "float32" }).reshape(1, 2, 1, 1));
    out.sum().backward();
    return [...out.toFloat32Array()];
  }

  it("computes with mask ⊙ a(t) ⊙ w, trains score and scale, and never the weight", () => {
    scope(() => {
      const layer = new MaskedConv2d({ ...shape, latent });
      expect(run(layer)).toEqual([2 + 30, -70]);
      expect(layer.weight.grad).toBeNull();
      expect([...(layer.latent?.parameters.get("t")?.grad?.toFloat32Array() ?? [])]).toEqual([2, -30, 0, -70]);
      expect([...(layer.latent?.parameters.get("scale")?.grad?.toFloat32Array() ?? [])]).toEqual([2, 30 - 70]);
      layer.dispose();
    });
  });

  it("passes a predicted gradient on to the score", () => {
    scope(() => {
      const psg = {
        backward: true,
        msbBits: 32,
        msbBitsGrad: 32,
        threshold: { mode: "relative", value: 0 },
        sparsify: true,
        takeSign: true,
      } as const;
      const layer = new PsgConv2d({ ...shape, latent }, psg);
      expect(run(layer)).toEqual([2 + 30, -70]);
      // The weight's gradient is 1, 10, –, 10; its sign, 1 where the mask is, times w.
      expect([...(layer.latent?.parameters.get("t")?.grad?.toFloat32Array() ?? [])].map((g) => g + 0)).toEqual([
        2, -3, 0, -7,
      ]);
      layer.dispose();
    });
  });
});
