// Peek-a-Boo's own operators: hand-computed values, and equality with their twins made of ATen operations.

import { readFileSync } from "node:fs";
import { numel } from "@peekaboo/files/safetensors";
import { type Pair, RandomStream } from "@peekaboo/seed";
import { grad, ops, scope, Tensor, TorchError } from "@peekaboo/torch";
import { generateWrappers, liveSchemas } from "@peekaboo/torch/generate";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pabOps } from "./library.js";
import { PAB_HEADER, PAB_OPERATORS } from "./operators.js";

/** Seeded values in (-1, 1), a fifth of them zero as after a ReLU. */
function random(
  name: string,
  shape: readonly number[],
  options: { positive?: boolean; dtype?: "float32" | "float64" } = {},
) {
  const words = new Uint32Array(numel(shape));
  new RandomStream(7, name).fillUint32(words);
  const values = Float64Array.from(words, (word) => {
    const value = word / 2 ** 31 - 1;
    if (word % 5 === 0) return 0;
    return options.positive === true ? Math.abs(value) : value;
  });
  return Tensor.from(values, { shape, dtype: options.dtype ?? "float32" });
}

function mask(name: string, shape: readonly number[]): Tensor {
  return random(name, shape).gt(0).to({ dtype: "uint8" });
}

describe("quantize", () => {
  const { quantize, quantizeReference } = pabOps();

  it("rounds half to even on 2^b levels between 0 or -s and s, and keeps zeros", () => {
    // Unsigned, 2 bits, s = 4: Δ = 1, so 0.5 → 0, 1.5 → 2, 2.5 → 2, and 4 is clamped to 3.
    const activation = Tensor.of([[[[0.5, 1.5, 2.5, 4, 0]]]]);
    expect(quantize(activation, "activation", { bits: 2, signed: false }).toArray()).toEqual([[[[0, 2, 2, 3, 0]]]]);
    // Signed, 2 bits, s = 4: Δ = 2, levels -4 -2 0 2.
    const signed = Tensor.of([[[[-4, -3, 1, 4, 0]]]]);
    expect(quantize(signed, "gradient", { bits: 2, signed: true }).toArray()).toEqual([[[[-4, -4, 0, 2, 0]]]]);
  });

  it("takes for activations the mean over the batch of each sample's maximum, for weights each channel's", () => {
    // Maxima 2 and 6: s = 4, Δ = 1.
    const activation = Tensor.of([[[[2, 1.4]]], [[[6, 2.6]]]]);
    expect(quantize(activation, "activation", { bits: 2, signed: false }).toArray()).toEqual([[[[2, 1]]], [[[3, 3]]]]);
    const weight = Tensor.of([[[[1, -0.6]]], [[[8, -3]]], [[[0, 0]]]]);
    expect(quantize(weight, "weight", { bits: 1, signed: true }).toArray()).toEqual([
      [[[0, -1]]],
      [[[0, 0]]],
      [[[0, 0]]],
    ]);
  });

  it("equals its twin of ATen operations bit for bit, in every role and layout", () => {
    const input = random("quantize", [6, 5, 9, 7]);
    const layouts = [input, ops.contiguous(input, { memoryFormat: "channelsLast" }), input.permute(1, 0, 3, 2)];
    for (const tensor of layouts) {
      for (const role of ["activation", "weight", "gradient"]) {
        for (const [bits, signed] of [
          [1, true],
          [4, false],
          [8, true],
          [16, true],
          [32, false],
        ] as const) {
          const levels = { bits, signed };
          expect(ops.equal(quantize(tensor, role, levels), quantizeReference(tensor, role, levels))).toBe(true);
        }
      }
    }
  });

  it("leaves an all-zero tensor, takes an empty one, and refuses an unknown role or no bits", () => {
    expect(quantize(Tensor.of([[[[0, 0]]]]), "activation", { bits: 4, signed: true }).toArray()).toEqual([[[[0, 0]]]]);
    expect(quantize(ops.zeros([0, 3, 2, 2]), "gradient", { bits: 4, signed: true }).shape).toEqual([0, 3, 2, 2]);
    expect(() => quantize(Tensor.of([1]), "bias", { bits: 4, signed: true })).toThrow(TorchError);
    expect(() => quantize(Tensor.of([1]), "gradient", { bits: 0, signed: true })).toThrow(TorchError);
  });
});

interface PsgCase {
  bits?: readonly [number, number];
  threshold?: number;
  relative?: boolean;
  sparsify?: boolean;
  takeSign?: boolean;
  predictive?: boolean;
  signed?: boolean;
  stride?: number;
  bias?: boolean;
  layout?: "contiguous" | "channelsLast";
}

describe("psg_conv2d", () => {
  const { psgConv2d, psgConv2dReference } = pabOps();

  /** Output, and gradients of input, weight and bias. */
  function run(call: typeof psgConv2d, options: PsgCase): Tensor[] {
    const { bits = [8, 16], threshold = 0, relative = true, sparsify = true, takeSign = false } = options;
    const { predictive = true, signed = false, stride = 1, bias = false, layout = "contiguous" } = options;
    const source = random("psg input", [5, 4, 8, 8], { positive: !signed });
    const input = ops.contiguous(source, { memoryFormat: layout }).requireGrad();
    const weight = random("psg weight", [6, 4, 3, 3]).requireGrad();
    const offset = bias ? random("psg bias", [6]).requireGrad() : null;
    const output = call(input, weight, mask("psg mask", [6, 4, 3, 3]), offset, {
      stride,
      padding: 1,
      inputSigned: signed,
      msbBits: bits[0],
      msbBitsGrad: bits[1],
      threshold,
      relative,
      sparsify,
      takeSign,
      predictive,
    });
    const wanted = offset === null ? [input, weight] : [input, weight, offset];
    return [output, ...grad([output], wanted, { gradients: [random("psg gradient", output.shape)] })];
  }

  const cases: [string, PsgCase][] = [
    ["relative threshold, sparsified", { threshold: 0.05 }],
    ["relative threshold, mixed with the full gradient", { threshold: 0.2, sparsify: false }],
    ["absolute threshold, sign taken", { threshold: 0.5, relative: false, takeSign: true }],
    ["plain gradient", { predictive: false }],
    ["plain gradient's sign", { predictive: false, takeSign: true }],
    ["signed input, stride 2, bias", { signed: true, stride: 2, bias: true }],
    ["no rounding", { bits: [32, 32], threshold: 0.1 }],
    ["few bits", { bits: [2, 3] }],
    ["channels last", { layout: "channelsLast", threshold: 0.01 }],
  ];

  it.each(cases)("equals its twin of ATen operations: %s", (_, options) => {
    scope(() => {
      const twin = run(psgConv2dReference, options);
      run(psgConv2d, options).forEach((tensor, i) => {
        expect(ops.allclose(tensor, twin[i] as Tensor, 1e-6, 1e-6)).toBe(true);
      });
    });
  });

  it("has the plain convolution's output and input gradient, and masks the weight's", () => {
    scope(() => {
      const [output, byInput, byWeight] = run(psgConv2d, { threshold: 0.3 });
      const input = random("psg input", [5, 4, 8, 8], { positive: true }).requireGrad();
      const kept = mask("psg mask", [6, 4, 3, 3]);
      const weight = ops.mul(random("psg weight", [6, 4, 3, 3]), kept);
      const plain = ops.conv2d(input, weight, null, 1, 1);
      const [expected] = grad([plain], [input], { gradients: [random("psg gradient", plain.shape)] });
      expect(ops.allclose(output as Tensor, plain, 1e-6, 1e-6)).toBe(true);
      expect(ops.allclose(byInput as Tensor, expected as Tensor, 1e-6, 1e-6)).toBe(true);
      expect(
        (byWeight as Tensor)
          .mul(ops.subScalar(kept.to({ dtype: "float32" }), 1))
          .abs()
          .sum()
          .item(),
      ).toBe(0);
    });
  });

  it("without rounding and threshold is the plain weight gradient where the mask keeps", () => {
    scope(() => {
      const [, , byWeight] = run(psgConv2d, { bits: [32, 32] });
      const kept = mask("psg mask", [6, 4, 3, 3]);
      const weight = ops.mul(random("psg weight", [6, 4, 3, 3]), kept).requireGrad();
      const plain = ops.conv2d(random("psg input", [5, 4, 8, 8], { positive: true }), weight, null, 1, 1);
      const [expected] = grad([plain], [weight], { gradients: [random("psg gradient", plain.shape)] });
      expect(ops.allclose(byWeight as Tensor, ops.mul(expected as Tensor, kept), 1e-5, 1e-5)).toBe(true);
    });
  });
});

describe("bop_step_", () => {
  const { bopStep_, bopStepReference_ } = pabOps();

  it("equals its twin of ATen operations bit for bit over several steps", () => {
    const shape = [64, 33, 3, 3];
    const make = () => ({
      weight: random("bop weight", shape),
      momentum: ops.zeros(shape, { dtype: "float32" }),
      flips: ops.zeros(shape, { dtype: "int32" }),
    });
    const [fast, slow] = [make(), make()];
    let total = 0;
    for (let step = 0; step < 5; step++) {
      const gradient = random(`bop gradient ${step}`, shape);
      const settings = { ar: 0.1, tau: 0.05, first: step === 0 };
      const flipped = bopStep_(fast.weight, fast.momentum, gradient, fast.flips, settings).item();
      expect(bopStepReference_(slow.weight, slow.momentum, gradient, slow.flips, settings).item()).toBe(flipped);
      total += flipped;
    }
    for (const key of ["weight", "momentum", "flips"] as const) expect(ops.equal(fast[key], slow[key])).toBe(true);
    expect(total).toBeGreaterThan(1000);
    expect(fast.flips.sum().item()).toBe(total);
  });

  it.each([bopStep_, bopStepReference_])("changes nothing where it is not to go on: %s", (step) => {
    const make = (fill: number) => Tensor.of([fill, -fill]);
    const [weight, momentum, flips] = [make(1), make(2), make(3).to({ dtype: "int32" })];
    const settings = (go: number) => ({ ar: 0.5, tau: 0, first: true, go: Tensor.of(go, { dtype: "bool" }) });
    expect(step(weight, momentum, make(1), flips, settings(0)).item()).toBe(0);
    expect([weight, momentum, flips].map((tensor) => tensor.toArray())).toEqual([
      [1, -1],
      [2, -2],
      [3, -3],
    ]);
    expect(step(weight, momentum, make(1), flips, settings(1)).item()).toBe(2);
    expect([weight, momentum, flips].map((tensor) => tensor.toArray())).toEqual([
      [-1, 1],
      [1.5, -1.5],
      [4, -2],
    ]);
  });

  it("refuses tensors of different shapes", () => {
    const [a, b] = [ops.zeros([2]), ops.zeros([3])];
    expect(() => bopStep_(a, b, a, null, { ar: 0.1, tau: 0.1, first: true })).toThrow(TorchError);
  });
});

describe("bop2_step_", () => {
  const { bop2Step_, bop2StepReference_ } = pabOps();
  const make = (shape: readonly number[], dtype: "float32" | "float64" = "float32") => ({
    weight: random("bop2 weight", shape, { dtype }),
    momentum: ops.zeros(shape, { dtype }),
    variance: ops.zeros(shape, { dtype }),
    correction: ops.zeros([2], { dtype: "float64" }),
    flips: ops.zeros(shape, { dtype: "int32" }),
  });
  const call = (step: typeof bop2Step_, state: ReturnType<typeof make>, gradient: Tensor, biasCorrection: boolean) => {
    const { weight, momentum, variance, correction, flips } = state;
    const settings = { ar: 0.1, sigma: 0.03, tau: 0.4, eps: 1e-10, biasCorrection };
    return step(weight, momentum, variance, correction, gradient, flips, settings).item();
  };

  it.each([false, true])("equals its twin of ATen operations bit for bit, bias correction %s", (correct) => {
    const shape = [64, 33, 3, 3];
    const [fast, slow] = [make(shape), make(shape)];
    let total = 0;
    for (let step = 0; step < 5; step++) {
      const gradient = random(`bop2 gradient ${step}`, shape);
      const flipped = call(bop2Step_, fast, gradient, correct);
      expect(call(bop2StepReference_, slow, gradient, correct)).toBe(flipped);
      total += flipped;
    }
    for (const key of ["weight", "momentum", "variance", "correction", "flips"] as const) {
      expect(ops.equal(fast[key], slow[key])).toBe(true);
    }
    expect(total).toBeGreaterThan(1000);
    expect(fast.flips.sum().item()).toBe(total);
  });

  it.each([bop2Step_, bop2StepReference_])("changes nothing where it is not to go on: %s", (step) => {
    const { weight, momentum, variance, correction, flips } = make([4, 3]);
    const all = () => [weight, momentum, variance, correction, flips].map((tensor) => tensor.toArray());
    const before = all();
    const run = (value: number) => {
      const go = Tensor.of(value, { dtype: "bool" });
      const settings = { ar: 0.1, sigma: 0.1, tau: 0, eps: 1, biasCorrection: true, go };
      return step(weight, momentum, variance, correction, random("bop2 go", [4, 3]), flips, settings).item();
    };
    expect(run(0)).toBe(0);
    expect(all()).toEqual(before);
    expect(run(1)).toBeGreaterThan(0);
    expect(correction.toArray()).toEqual([0.1, 0.1]);
  });

  it("takes other layouts and float64 as well", () => {
    const [plain, strided, double] = [make([8, 4, 3, 3]), make([8, 4, 3, 3]), make([8, 4, 3, 3], "float64")];
    const gradient = random("bop2 layout", [8, 4, 3, 3]);
    const last = ops.contiguous(gradient, { memoryFormat: "channelsLast" });
    const flipped = call(bop2Step_, plain, gradient, false);
    expect(call(bop2Step_, strided, last, false)).toBe(flipped);
    expect(call(bop2Step_, double, gradient.to({ dtype: "float64" }), false)).toBe(flipped);
    for (const key of ["weight", "momentum", "variance"] as const)
      expect(ops.equal(plain[key], strided[key])).toBe(true);
  });

  it("refuses other shapes, rates and corrections", () => {
    const state = make([2]);
    const gradient = ops.zeros([2], { dtype: "float32" });
    expect(() => call(bop2Step_, { ...state, variance: ops.zeros([3]) }, gradient, true)).toThrow(TorchError);
    expect(() => call(bop2Step_, { ...state, correction: ops.zeros([2]) }, gradient, true)).toThrow(TorchError);
    expect(() =>
      call(bop2Step_, { ...state, correction: ops.zeros([1], { dtype: "float64" }) }, gradient, true),
    ).toThrow("float64 [2] on the CPU");
    const { weight, momentum, variance, correction } = state;
    const rates = (ar: number, sigma: number, eps: number) => () => {
      const settings = { ar, sigma, tau: 0, eps, biasCorrection: false };
      return bop2Step_(weight, momentum, variance, correction, gradient, null, settings);
    };
    for (const [ar, sigma, eps] of [
      [0, 0.1, 1],
      [0.1, 1, 1],
      [0.1, 0.1, 0],
      [Number.NaN, 0.1, 1],
    ] as const) {
      expect(rates(ar, sigma, eps)).toThrow(TorchError);
    }
    expect(correction.toArray()).toEqual([0, 0]);
  });
});

describe("all_finite", () => {
  const { allFinite, allFiniteReference } = pabOps();
  const finite = () => ops.full([3, 40_000], 3.4e38, { dtype: "float32" });
  const broken = (value: number, at: number) => {
    const values = new Float32Array(120_000);
    values[at] = value;
    return Tensor.from(values, { shape: [3, 40_000] });
  };

  it.each([allFinite, allFiniteReference])("tells which tensors hold a NaN or an infinity: %s", (test) => {
    scope(() => {
      const of = (...tensors: Tensor[]) => test(tensors).toArray();
      expect(of()).toEqual([]);
      expect(of(finite(), ops.zeros([0]), ops.zeros([2], { dtype: "int32" }))).toEqual([1, 1, 1]);
      for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
        for (const at of [0, 40_001, 119_999]) {
          const bad = broken(value, at);
          const wide = ops.full([2], 1e300, { dtype: "float64" });
          expect(of(finite(), bad, bad.to({ dtype: "float64" }), wide)).toEqual([1, 0, 0, 1]);
          expect(of(bad.permute(1, 0).slice(0, 0, 40_000, 1))).toEqual([0]);
        }
      }
    });
  });
});

describe("augment", () => {
  const { augment, augmentReference } = pabOps();
  const int = (...values: number[]) => Tensor.from(Int32Array.from(values));

  it("pads with zero, crops, flips, and then normalises", () => {
    // One 2×2 image of one channel: 0 51 / 102 255, that is 0 0.2 / 0.4 1; mean 0.5, std 0.5.
    const images = Tensor.from(Uint8Array.of(0, 51, 102, 255), { shape: [1, 2, 2, 1] });
    const value = (v: number) => (v - 0.5) / 0.5;
    const expectClose = (tensor: Tensor, expected: number[]) => {
      const values = tensor.toFloat32Array();
      expected.forEach((v, i) => {
        expect(values[i]).toBeCloseTo(value(v), 6);
      });
    };
    const settings = { padding: 1, mean: [0.5], std: [0.5] };
    expectClose(augment(images, int(0), settings), [0, 0.2, 0.4, 1]);
    // A crop from row 2 and column 1 of the padded image: the lower row, then padding.
    const crop = { ...settings, dy: int(2), dx: int(1) };
    expectClose(augment(images, int(0), { ...crop, flip: int(0) }), [0.4, 1, 0, 0]);
    expectClose(augment(images, int(0), { ...crop, flip: int(1) }), [1, 0.4, 0, 0]);
  });

  it("equals its twin of ATen operations bit for bit, in both layouts", () => {
    const bytes = Uint8Array.from({ length: 9 * 32 * 32 * 3 }, (_, i) => (i * 2654435761) >>> 24);
    const images = Tensor.from(bytes, { shape: [9, 32, 32, 3] });
    const index = int(8, 0, 3, 3);
    const moves = { dy: int(0, 8, 4, 1), dx: int(8, 0, 4, 7), flip: int(1, 0, 1, 0), padding: 4 };
    const statistics = { mean: [0.4914, 0.4822, 0.4465], std: [0.2023, 0.1994, 0.201] };
    for (const channelsLast of [false, true]) {
      const settings = { ...moves, ...statistics, channelsLast };
      expect(ops.equal(augment(images, index, settings), augmentReference(images, index, settings))).toBe(true);
    }
  });

  it("equals its twin for grey images of 28×28, flipped or not", () => {
    const bytes = Uint8Array.from({ length: 5 * 28 * 28 }, (_, i) => (i * 2654435761) >>> 24);
    const images = Tensor.from(bytes, { shape: [5, 28, 28, 1] });
    const index = int(4, 0, 2);
    const moves = { dy: int(0, 8, 3), dx: int(8, 0, 5), padding: 4, mean: [0.1307], std: [0.3081] };
    for (const flip of [null, int(1, 0, 1)]) {
      for (const channelsLast of [false, true]) {
        const settings = { ...moves, flip, channelsLast };
        const output = augment(images, index, settings);
        expect(output.shape).toEqual([3, 1, 28, 28]);
        expect(ops.equal(output, augmentReference(images, index, settings))).toBe(true);
      }
    }
  });

  it("refuses every index outside instead of reading there", () => {
    const images = Tensor.from(new Uint8Array(2 * 4 * 4 * 3), { shape: [2, 4, 4, 3] });
    const rest = { padding: 1, mean: [0, 0, 0], std: [1, 1, 1] };
    expect(() => augment(images, int(2), rest)).toThrow(TorchError);
    expect(() => augment(images, int(-1), rest)).toThrow(TorchError);
    expect(() => augment(images, int(0), { ...rest, dy: int(3), dx: int(0) })).toThrow(TorchError);
    expect(() => augment(images, int(0), { ...rest, dy: int(0), dx: int(-1) })).toThrow(TorchError);
    expect(() => augment(images, int(0), { ...rest, dy: int(0, 0), dx: int(0) })).toThrow(TorchError);
  });
});

describe("conv2d in float64", () => {
  const double = { dtype: "float64" } as const;

  it.each<[Pair, stride: number | Pair, padding: number | Pair, dilation: number | Pair, groups: number]>([
    [[3, 3], 1, 1, 1, 1],
    [[3, 3], 2, 1, 1, 1],
    [[1, 1], 2, 0, 1, 1],
    [[5, 5], 1, 2, 1, 1],
    [[3, 3], 1, 2, 2, 1],
    [[3, 3], 2, 1, 1, 3],
    [[1, 4], 1, [0, 2], 1, 1],
    [[3, 2], [1, 2], [2, 0], [2, 3], 1],
    [[2, 3], [2, 1], [1, 2], [3, 1], 3],
  ])(
    "equals ATen's to 1e-12 with kernel %s, stride %s, padding %s, dilation %s, groups %i, twice differentiated",
    (kernel, stride, padding, dilation, groups) => {
      scope(() => {
        const input = random("conv input", [2, 6, 11, 9], double).requireGrad();
        const weight = random("conv weight", [9, 6 / groups, ...kernel], double).requireGrad();
        const results = (call: typeof ops.conv2d) => {
          const output = call(input, weight, null, stride, padding, dilation, groups);
          const gradient = random("conv gradient", output.shape, double);
          const first = grad([output.mul(output)], [input, weight], { gradients: [gradient], createGraph: true });
          const inner = first.map((tensor) => tensor.mul(tensor).sum());
          return [output, ...first, ...grad(inner, [input, weight])];
        };
        const expected = results(ops.conv2d);
        results(pabOps().conv2d).forEach((tensor, i) => {
          expect(ops.allclose(tensor, expected[i] as Tensor, 1e-12, 1e-12)).toBe(true);
        });
      });
    },
  );
});

describe("memory", () => {
  beforeAll(() => pabOps().reuseMemory(true));
  afterAll(() => pabOps().reuseMemory(false));

  it("taken over from a freed tensor holds the new one's values", () => {
    for (let i = 0; i < 5; i++) {
      scope(() => expect(ops.full([512, 1024], i, { dtype: "float32" }).sum().item()).toBe(i * 512 * 1024));
    }
  });
});

it("the generated wrappers match the operators that are registered", () => {
  const checkedIn = readFileSync(new URL("../generated/ops.ts", import.meta.url), "utf8");
  pabOps();
  expect(generateWrappers(liveSchemas(PAB_OPERATORS), { header: PAB_HEADER })).toBe(checkedIn);
});
