// Convolutions as `--conv fast` computes them, by Winograd's algorithm, against double precision and ATen's own.

import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { grad, type MemoryFormat, manualSeed, ops, scope, setThreads, type Tensor } from "@peekaboo/torch";
import { cores } from "@peekaboo/torch/cores";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { pabOps } from "./library.js";

/** What errors may come to, of the largest value. */
const BOUND = 1e-5;

const { conv2d, psgConv2d } = pabOps();
const layout = { memoryFormat: "channelsLast" } as const;

beforeEach(() => manualSeed(7));
afterAll(() => setThreads(cores().count));

interface Case {
  images: number;
  channels: number;
  outputs: number;
  size: readonly [height: number, width: number];
  padding?: number | readonly [number, number];
}

/** Tiles of 4 × 4 and of 2 × 2, whole and cut; channels that fill vectors and that don't. */
const CASES: readonly Case[] = [
  { images: 1, channels: 16, outputs: 16, size: [32, 32] },
  { images: 4, channels: 64, outputs: 64, size: [16, 16] },
  { images: 16, channels: 128, outputs: 48, size: [8, 8] },
  { images: 64, channels: 200, outputs: 256, size: [4, 4] },
  { images: 64, channels: 32, outputs: 80, size: [2, 2] },
  { images: 70, channels: 17, outputs: 33, size: [3, 3] },
  { images: 11, channels: 100, outputs: 17, size: [7, 9] },
  { images: 8, channels: 16, outputs: 100, size: [13, 6] },
  { images: 33, channels: 31, outputs: 16, size: [2, 11] },
  { images: 20, channels: 18, outputs: 20, size: [9, 9], padding: 0 },
  { images: 20, channels: 18, outputs: 20, size: [5, 6], padding: 2 },
  { images: 20, channels: 18, outputs: 20, size: [7, 6], padding: [0, 2] },
];

function tensorsOf({ images, channels, outputs, size }: Case) {
  return {
    input: ops.contiguous(ops.randn([images, channels, ...size]), layout),
    weight: ops.randn([outputs, channels, 3, 3]),
    bias: ops.randn([outputs]),
  };
}

/** max |a - b| / max |b| */
function error(actual: Tensor, expected: Tensor): number {
  const difference = ops.max(ops.abs(ops.sub(actual.to({ dtype: "float64" }), expected))).item();
  return Number(difference) / Number(ops.max(ops.abs(expected)).item());
}

describe("conv2d, fast", () => {
  it.each(CASES)("equals double precision, with its gradients: %o", (one) => {
    scope(() => {
      const { input, weight, bias } = tensorsOf(one);
      const run = (dtype: "float32" | "float64", fast: boolean, gradient?: Tensor) => {
        const leaves = [input, weight, bias].map((tensor) => tensor.to({ dtype }).detach().requireGrad());
        const [x, w, b] = leaves as [Tensor, Tensor, Tensor];
        const output = conv2d(x, w, b, 1, one.padding ?? 1, 1, 1, { fast });
        const received = gradient ?? ops.randn(output.shape);
        return { received, all: [output, ...grad([output], leaves, { gradients: [received.to({ dtype })] })] };
      };
      const fast = run("float32", true);
      const exact = run("float32", false, fast.received);
      const double = run("float64", false, fast.received);
      const errors = fast.all.map((tensor, i) => error(tensor, double.all[i] as Tensor));
      expect(errors.every((value) => value < BOUND)).toBe(true);
      const isSame = fast.all.map((tensor, i) => ops.equal(tensor, exact.all[i] as Tensor));
      expect(isSame.slice(0, 2)).toEqual([false, false]);
      expect(fast.all[0]?.shape).toEqual(exact.all[0]?.shape);
    });
  });

  it("takes weights and gradients however they are laid out", () => {
    scope(() => {
      const { input, weight } = tensorsOf({ images: 8, channels: 20, outputs: 24, size: [12, 12] });
      const turned = ops.contiguous(weight.permute(1, 0, 3, 2)).permute(1, 0, 3, 2);
      const run = (w: Tensor, gradients: Tensor[]) => {
        const x = input.detach().requireGrad();
        const output = conv2d(x, w, null, 1, 1, 1, 1, { fast: true });
        return [output, ...grad([output], [x], { gradients })];
      };
      const one = ops.ones([8, 24, 12, 12]);
      const expected = run(weight, [one]);
      for (const w of [ops.contiguous(weight, layout), turned]) {
        for (const g of [ops.contiguous(one, layout), ops.ones([1]).expand(8, 24, 12, 12)]) {
          run(w, [g]).forEach((tensor, i) => void expect(ops.equal(tensor, expected[i] as Tensor)).toBe(true));
        }
      }
    });
  });

  it("gives the same bits each time, with any number of threads, and for each image whatever the others are", () => {
    scope(() => {
      const { input, weight } = tensorsOf({ images: 40, channels: 40, outputs: 72, size: [10, 10] });
      const run = (x: Tensor) => conv2d(x, weight, null, 1, 1, 1, 1, { fast: true });
      const expected = run(input);
      for (const threads of [1, 2, 3, cores().count]) {
        setThreads(threads);
        expect(ops.equal(run(input), expected)).toBe(true);
      }
      expect(ops.equal(run(input.slice(0, 3, 21)), expected.slice(0, 3, 21))).toBe(true);
    });
  });

  it("keeps zeros: of a weight that is masked away, and of images", () => {
    scope(() => {
      const { input, weight } = tensorsOf({ images: 2, channels: 16, outputs: 16, size: [24, 24] });
      for (const [x, w] of [
        [input, ops.zerosLike(weight)],
        [ops.zerosLike(input), weight],
      ] as const) {
        expect(
          ops
            .abs(conv2d(x, w, null, 1, 1, 1, 1, { fast: true }))
            .sum()
            .item(),
        ).toBe(0);
      }
    });
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])("shows %d wherever it is seen, and nowhere far away", (value) => {
    scope(() => {
      const { input, weight } = tensorsOf({ images: 2, channels: 16, outputs: 16, size: [32, 32] });
      const run = (x: Tensor) => conv2d(x, weight.mul(9), null, 1, 1, 1, 1, { fast: true });
      const expected = run(input);
      const broken = input.clone();
      ops.fill_(broken.slice(0, 1, 2).slice(1, 5, 6).slice(2, 11, 12).slice(3, 16, 17), value);
      const output = run(broken);
      const seen = output.slice(0, 1, 2).slice(2, 10, 13).slice(3, 15, 18);
      expect(ops.isfinite(seen).sum().item()).toBe(0);
      expect(ops.equal(output.slice(0, 0, 1), expected.slice(0, 0, 1))).toBe(true);
      expect(ops.equal(output.slice(2, 16, 32), expected.slice(2, 16, 32))).toBe(true);
    });
  });

  it("has the plain convolution's second derivative", () => {
    scope(() => {
      const { input, weight } = tensorsOf({ images: 4, channels: 16, outputs: 16, size: [16, 16] });
      const run = (fast: boolean) => {
        const [x, w] = [input.detach().requireGrad(), weight.detach().requireGrad()];
        const output = conv2d(x, w, null, 1, 1, 1, 1, { fast });
        const [byInput] = grad([ops.mul(output, output).sum()], [x], { createGraph: true });
        return grad([(byInput as Tensor).sum()], [w])[0] as Tensor;
      };
      expect(error(run(true), run(false).to({ dtype: "float64" }))).toBeLessThan(BOUND);
    });
  });

  it("leaves to ATen what it can't or shouldn't do", () => {
    const shape = { images: 8, channels: 16, outputs: 16, size: [16, 16] } as const;
    const other: [Case, { kernel?: number; stride?: number; dilation?: number; groups?: number; of?: MemoryFormat }][] =
      [
        [shape, { of: "contiguous" }],
        [shape, { stride: 2 }],
        [shape, { kernel: 5 }],
        [shape, { dilation: 2 }],
        [shape, { groups: 4 }],
        [{ ...shape, padding: 3 }, {}],
        [{ ...shape, channels: 3 }, {}],
        [{ ...shape, outputs: 10 }, {}],
        [{ ...shape, images: 3 }, {}],
        [{ ...shape, images: 100, size: [1, 8] }, {}],
        [{ ...shape, images: 0 }, {}],
      ];
    for (const [one, { kernel = 3, stride = 1, dilation = 1, groups = 1, of = "channelsLast" }] of other) {
      scope(() => {
        const { images, channels, outputs, size, padding = 1 } = one;
        const input = ops.contiguous(ops.randn([images, channels, ...size]), { memoryFormat: of });
        const weight = ops.randn([outputs, channels / groups, kernel, kernel]);
        const run = (fast: boolean) => {
          const x = input.detach().requireGrad();
          const output = conv2d(x, weight, null, stride, padding, dilation, groups, { fast });
          return [output, ...grad([output.sum()], [x])];
        };
        const exact = run(false);
        run(true).forEach((tensor, i) => void expect(ops.equal(tensor, exact[i] as Tensor)).toBe(true));
      });
    }
  });
});

describe("psg_conv2d, fast", () => {
  it("has nearly the exact one's output and input gradient, and the same gradients of weight and bias", () => {
    scope(() => {
      const { input, weight, bias } = tensorsOf({ images: 16, channels: 24, outputs: 40, size: [9, 9] });
      const mask = weight.gt(0.3).to({ dtype: "uint8" });
      const gradient = ops.randn([16, 40, 9, 9]);
      const run = (fast: boolean) => {
        const leaves = [input, weight, bias].map((tensor) => tensor.detach().requireGrad());
        const [x, w, b] = leaves as [Tensor, Tensor, Tensor];
        const output = psgConv2d(x, w, mask, b, { padding: 1, msbBits: 8, msbBitsGrad: 16, takeSign: false, fast });
        return [output, ...grad([output], leaves, { gradients: [gradient] })];
      };
      const exact = run(false) as [Tensor, Tensor, Tensor, Tensor];
      const fast = run(true) as [Tensor, Tensor, Tensor, Tensor];
      for (const i of [0, 1] as const) {
        expect(ops.equal(fast[i], exact[i])).toBe(false);
        expect(error(fast[i], exact[i].to({ dtype: "float64" }))).toBeLessThan(BOUND);
      }
      for (const i of [2, 3] as const) expect(ops.equal(fast[i], exact[i])).toBe(true);
    });
  });
});

describe.skipIf(process.env.ATEN_CPU_CAPABILITY !== undefined)("with the instructions of an older processor", () => {
  it.each(["avx2", "default"])("%s, fast convolutions are as right", (instructions) => {
    const vitest = join(dirname(createRequire(import.meta.url).resolve("vitest/package.json")), "vitest.mjs");
    const { status, stdout } = spawnSync(
      process.execPath,
      [vitest, "run", "--pool=threads", fileURLToPath(import.meta.url)],
      { encoding: "utf8", env: { ...process.env, ATEN_CPU_CAPABILITY: instructions }, timeout: 150_000 },
    );
    expect({ status, output: status === 0 ? "" : stdout }).toEqual({ status: 0, output: "" });
  });
});
