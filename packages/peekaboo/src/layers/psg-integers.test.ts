// The predicted weight gradient in integers, against the same levels multiplied and added in float64, where that is exact.
import { spawnSync } from "node:child_process";
import { numel } from "@peekaboo/files/safetensors";
import { RandomStream } from "@peekaboo/seed";
import { getThreads, grad, ops, scope, setThreads, Tensor } from "@peekaboo/torch";
import { describe, expect, it } from "vitest";
import { pabOps } from "../native/library.js";

interface Convolution {
  readonly images: number;
  readonly channels: number;
  readonly outputs: number;
  readonly size: readonly [number, number];
  readonly kernel: readonly [number, number];
  readonly stride?: readonly [number, number];
  readonly padding?: readonly [number, number];
  readonly dilation?: readonly [number, number];
}

interface Bits {
  readonly x: number;
  readonly g: number;
  readonly signed: boolean;
}

type Layout = "contiguous" | "channelsLast";

/** Seeded values from -1 to 1 (from 0, if not signed), a fifth of them zero. */
function random(name: string, shape: readonly number[], signed = true): Tensor {
  const words = new Uint32Array(numel(shape));
  new RandomStream(11, name).fillUint32(words);
  const values = Float32Array.from(words, (word) => {
    const value = word / 2 ** 31 - 1;
    return word % 5 === 0 || (!signed && value < 0) ? 0 : value;
  });
  return Tensor.from(values, { shape });
}

function convolve(x: Tensor, w: Tensor, { stride, padding, dilation }: Convolution): Tensor {
  return ops.conv2d(x, w, null, stride ?? 1, padding ?? 0, dilation ?? 1);
}

/** Levels less that of zero, in float64, and the step between them. */
function levels(values: Tensor, role: "activation" | "gradient", bits: number, signed: boolean): [Tensor, number] {
  const magnitude = values.abs();
  const scale = (
    role === "gradient" ? magnitude : ops.amax(magnitude.reshape(values.shape[0] ?? 0, -1), 1).mean()
  ).max();
  const lo = signed ? -scale.item() : 0;
  const step = Math.fround((scale.item() - lo) / 2 ** bits);
  const level = ops.divScalar(ops.subScalar(values, lo), step).clamp(0, 2 ** bits - 1);
  return [ops.subScalar(level.round().to({ dtype: "float64" }), signed ? 2 ** (bits - 1) : 0), step];
}

/** What docs/algorithm.md §4 defines, rounded once. */
function exact(x: Tensor, g: Tensor, convolution: Convolution, bits: Bits): Tensor {
  const { outputs, channels, kernel } = convolution;
  const [left, xStep] = levels(x, "activation", bits.x, bits.signed);
  const [right, gStep] = levels(g, "gradient", bits.g, true);
  const weight = ops.zeros([outputs, channels, ...kernel], { dtype: "float64" }).requireGrad();
  const [sum] = grad([convolve(left, weight, convolution)], [weight], { gradients: [right] });
  return ops.mulScalar(sum as Tensor, xStep * gStep).to({ dtype: "float32" });
}

/** What the operator computes from the same. */
function computed(
  operator: "psgConv2d" | "psgConv2dReference",
  x: Tensor,
  g: Tensor,
  convolution: Convolution,
  bits: Bits,
  layout: Layout = "channelsLast",
): Tensor {
  const { outputs, channels, kernel, stride, padding, dilation } = convolution;
  const [input, gradient, weight] = [x, g, random("weight", [outputs, channels, ...kernel])].map((tensor) =>
    ops.contiguous(tensor, { memoryFormat: layout }),
  ) as [Tensor, Tensor, Tensor];
  weight.requireGrad();
  const output = pabOps()[operator](input, weight, ops.onesLike(weight.detach()), null, {
    stride: stride ?? 1,
    padding: padding ?? 0,
    dilation: dilation ?? 1,
    inputSigned: bits.signed,
    msbBits: bits.x,
    msbBitsGrad: bits.g,
    threshold: 0,
    sparsify: true,
    takeSign: false,
  });
  return grad([output], [weight], { gradients: [gradient] })[0] as Tensor;
}

function given(convolution: Convolution, signed: boolean): [x: Tensor, g: Tensor] {
  const { images, channels, outputs, size, kernel } = convolution;
  const x = random("x", [images, channels, ...size], signed);
  return [x, random("g", convolve(x, ops.zeros([outputs, channels, ...kernel]), convolution).shape)];
}

const CONVOLUTIONS: readonly [string, Convolution][] = [
  ["3 × 3", { images: 5, channels: 17, outputs: 19, size: [9, 8], kernel: [3, 3], padding: [1, 1] }],
  [
    "of stride 2",
    { images: 4, channels: 64, outputs: 24, size: [8, 8], kernel: [3, 3], stride: [2, 2], padding: [1, 1] },
  ],
  ["1 × 1, of stride 2", { images: 7, channels: 40, outputs: 33, size: [7, 7], kernel: [1, 1], stride: [2, 2] }],
  ["7 × 7", { images: 3, channels: 16, outputs: 5, size: [17, 15], kernel: [7, 7], stride: [2, 2], padding: [3, 3] }],
  ["dilated", { images: 3, channels: 18, outputs: 8, size: [9, 9], kernel: [3, 3], padding: [2, 2], dilation: [2, 2] }],
  [
    "different by height and width",
    {
      images: 6,
      channels: 16,
      outputs: 6,
      size: [9, 8],
      kernel: [3, 2],
      stride: [2, 1],
      padding: [0, 1],
      dilation: [1, 3],
    },
  ],
  [
    "of more padding than image",
    { images: 3, channels: 16, outputs: 3, size: [2, 3], kernel: [3, 3], padding: [4, 4] },
  ],
  ["of many images", { images: 523, channels: 16, outputs: 4, size: [4, 4], kernel: [3, 3], padding: [1, 1] }],
  ["of large images", { images: 9, channels: 33, outputs: 5, size: [40, 36], kernel: [3, 3], padding: [1, 1] }],
];

const BITS: readonly Bits[] = [true, false].flatMap((signed) =>
  [
    [8, 16],
    [8, 8],
    [4, 9],
    [1, 1],
    [2, 15],
  ].map(([x = 0, g = 0]) => ({ x, g, signed })),
);

/** Whether sums are made in integers here (native/integer_tile.h). */
const inIntegers = process.arch === "x64" && process.env.PEEKABOO_INTEGERS === undefined;

describe.skipIf(!inIntegers)("the gradient of a convolution", () => {
  it.each(CONVOLUTIONS)("%s is exact, in both layouts", (_, convolution) => {
    for (const bits of BITS) {
      scope(() => {
        // With 4 bits also numbers below an unsigned range.
        const [x, g] = given(convolution, bits.signed || bits.x === 4);
        const expected = exact(x, g, convolution, bits);
        expect(expected.abs().sum().item()).toBeGreaterThan(0);
        for (const layout of ["channelsLast", "contiguous"] as const) {
          expect(ops.equal(computed("psgConv2d", x, g, convolution, bits, layout), expected)).toBe(true);
        }
      });
    }
  });

  it("is exact at the largest sums that there can be", () => {
    const convolution: Convolution = { images: 256, channels: 16, outputs: 2, size: [20, 20], kernel: [3, 3] };
    for (const [g, sign] of [
      [16, 1],
      [16, -1],
      [8, -1],
    ] as const) {
      for (const signed of [true, false]) {
        scope(() => {
          const x = ops.full([256, 16, 20, 20], signed ? -0.7 : 0.7);
          const gradient = ops.full([256, 2, 18, 18], 0.3 * sign);
          const bits = { x: 8, g, signed };
          const expected = exact(x, gradient, convolution, bits);
          expect(ops.equal(computed("psgConv2d", x, gradient, convolution, bits), expected)).toBe(true);
        });
      }
    }
  });

  it("is exact where numbers lie half-way between two levels, or next to there, at any size of the numbers", () => {
    const convolution: Convolution = { images: 128, channels: 20, outputs: 5, size: [6, 6], kernel: [3, 3] };
    const words = new Uint32Array(128 * 20 * 36);
    for (const [i, scale] of [1, 0.7853981, 1.9999999, 1e-33, 3e-30, 1e30].entries()) {
      new RandomStream(i, "half-way").fillUint32(words);
      const step = Math.fround(Math.fround(scale) / 256);
      const between = Float32Array.from(words, (word) => {
        const half = Math.fround(Math.fround((word % 256) + 0.5) * step);
        return half * (1 + (((word >>> 8) % 3) - 1) * 2 ** -23);
      });
      // Each image's largest number is the scale, so that the mean of them is, too.
      for (let image = 0; image < 128; image++) between[image * 20 * 36] = scale;
      scope(() => {
        const x = Tensor.from(between, { shape: [128, 20, 6, 6] });
        const g = random("g", [128, 5, 4, 4]);
        const bits = { x: 8, g: 16, signed: false };
        const expected = exact(x, g, convolution, bits);
        expect(expected.abs().sum().item()).toBeGreaterThan(0);
        expect(ops.equal(computed("psgConv2d", x, g, convolution, bits), expected)).toBe(true);
      });
    }
  });

  it("has the same bits with any number of threads", () => {
    const before = getThreads();
    scope(() => {
      const [, convolution] = CONVOLUTIONS[0] as (typeof CONVOLUTIONS)[0];
      const bits = { x: 8, g: 16, signed: false };
      const [x, g] = given(convolution, false);
      const results = [1, 2, 5].map((threads) => {
        setThreads(threads);
        return computed("psgConv2d", x, g, convolution, bits);
      });
      for (const other of results) expect(ops.equal(other, results[0] as Tensor)).toBe(true);
    });
    setThreads(before);
  });

  it("has the same bits with every kernel that this processor has", () => {
    const script = `
      import { grad, manualSeed, ops } from ${JSON.stringify(import.meta.resolve("@peekaboo/torch"))};
      import { pabOps } from ${JSON.stringify(new URL("../../dist/native/library.js", import.meta.url).href)};
      manualSeed(1);
      const [x, w] = [ops.randn([9, 50, 12, 12]), ops.randn([21, 50, 3, 3]).requireGrad()];
      const results = [[8, 16], [5, 8], [3, 12]].flatMap(([msbBits, msbBitsGrad]) => [true, false].map((inputSigned) => {
        const y = pabOps().psgConv2d(x, w, ops.onesLike(w.detach()), null, { padding: 1, inputSigned, msbBits, msbBitsGrad, takeSign: false });
        manualSeed(2);
        const [g] = grad([y], [w], { gradients: [ops.randn(y.shape)] });
        return Buffer.from(g.contiguous().toTypedArray().buffer).toString("base64");
      }));
      console.log(results.join());`;
    const run = (kernel: string) => {
      const env = { ...process.env, PEEKABOO_INTEGERS: kernel };
      return spawnSync(process.execPath, ["--input-type=module", "-e", script], { env, encoding: "utf8" });
    };
    const none = run("none").stdout;
    const results = ["avx512-vnni", "avx-vnni", "avx512", "avx2"].map((kernel) => run(kernel).stdout);
    const used = new Set(results.filter((result) => result !== none)); // what isn't here is left to floats
    expect(none.length).toBeGreaterThan(1000);
    expect(used.size).toBeLessThanOrEqual(1);
  });
});

describe("the gradient from quantised floats", () => {
  it("differs by no more than they round", () => {
    for (const [, convolution] of CONVOLUTIONS) {
      for (const bits of BITS) {
        scope(() => {
          const [x, g] = given(convolution, bits.signed);
          const result = computed("psgConv2d", x, g, convolution, bits);
          const floats = computed("psgConv2dReference", x, g, convolution, bits);
          const limit = 1e-5 * floats.abs().max().item();
          expect(result.sub(floats).abs().max().item()).toBeLessThan(limit);
        });
      }
    }
  });

  it("is what is left where integers can't be: not finite, all zero, too small to divide", () => {
    const convolution: Convolution = {
      images: 3,
      channels: 16,
      outputs: 3,
      size: [4, 4],
      kernel: [3, 3],
      padding: [1, 1],
    };
    const bits = { x: 8, g: 16, signed: true };
    const [x, g] = given(convolution, true);
    for (const factor of [0, Number.NaN, Number.POSITIVE_INFINITY, 1e-44, 3e38]) {
      for (const [left, right] of [
        [ops.mulScalar(x, factor), g],
        [x, ops.mulScalar(g, factor)],
      ] as const) {
        const results = (["psgConv2d", "psgConv2dReference"] as const).map((operator) =>
          computed(operator, left, right, convolution, bits).toTypedArray(),
        );
        expect(results[0]).toEqual(results[1]);
      }
    }
  });
});
