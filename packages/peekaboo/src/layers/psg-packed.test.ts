// The weight gradient from an input that the forward pass packs, against that from the same input kept as it was.
import { spawnSync } from "node:child_process";
import { numel } from "@peekaboo/files/safetensors";
import { RandomStream } from "@peekaboo/seed";
import { grad, liveTensorCount, noGrad, ops, scope, Tensor } from "@peekaboo/torch";
import { afterEach, describe, expect, it } from "vitest";
import { pabOps } from "../native/library.js";

afterEach(() => expect(liveTensorCount()).toBe(0));

type Size = readonly [number, number, number, number];

interface Case {
  readonly images: Size;
  readonly weight: Size;
  readonly stride?: number;
  readonly padding?: number;
  readonly dilation?: number;
}

/** Seeded values from -1 to 1, a fifth of them zero. */
function random(name: string, shape: readonly number[]): Tensor {
  const words = new Uint32Array(numel(shape));
  new RandomStream(23, name).fillUint32(words);
  const values = Float32Array.from(words, (word) => (word % 5 === 0 ? 0 : word / 2 ** 31 - 1));
  return Tensor.from(values, { shape });
}

/**
 * With a threshold, sparsified gradients need the quantised input alone. Otherwise small ones come from the full-precision input, which
 * has to be kept then; below the smallest float there is none but zero.
 */
const PACKED = { sparsify: true, threshold: 0 };
const KEPT = { sparsify: false, threshold: 2 ** -149 };

interface Given {
  readonly input: Tensor;
  readonly weight: Tensor;
  readonly gradient: (shape: readonly number[]) => Tensor;
}

function convolve({ input, weight }: Given, shape: Case, how: { sparsify: boolean; threshold: number }, signed = true) {
  const { stride = 1, padding = 0, dilation = 1 } = shape;
  const settings = { stride, padding, dilation, inputSigned: signed, msbBits: 8, msbBitsGrad: 16, takeSign: false };
  const mask = ops.onesLike(weight.detach());
  return pabOps().psgConv2d(input, weight, mask, null, { ...settings, ...how, relative: false });
}

function gradients(given: Given, shape: Case, how: { sparsify: boolean; threshold: number }, signed = true): Buffer[] {
  const output = convolve(given, shape, how, signed);
  const wanted = [given.input, given.weight].filter(({ requiresGrad }) => requiresGrad);
  return grad([output], wanted, { gradients: [given.gradient(output.shape)] }).map(bytesOf);
}

function bytesOf(tensor: Tensor): Buffer {
  return Buffer.from(tensor.contiguous().toTypedArray().slice().buffer);
}

function given(
  { images, weight }: Case,
  { signed = true, layout = "channelsLast" as "channelsLast" | "contiguous", change = (g: Tensor) => g } = {},
): Given {
  const laid = (tensor: Tensor) => ops.contiguous(tensor, { memoryFormat: layout });
  const x = random("input", images);
  return {
    input: laid(signed ? x : ops.relu(x)).requireGrad(),
    weight: laid(random("weight", weight)).requireGrad(),
    gradient: (shape) => laid(change(random("gradient", shape))),
  };
}

const CASES: readonly [string, Case][] = [
  ["3 × 3", { images: [5, 17, 9, 8], weight: [19, 17, 3, 3], padding: 1 }],
  ["3 × 3 of stride 2", { images: [4, 64, 8, 8], weight: [24, 64, 3, 3], stride: 2, padding: 1 }],
  [
    "1 × 1 of stride 2, by which most pixels aren't wanted",
    { images: [7, 40, 7, 7], weight: [33, 40, 1, 1], stride: 2 },
  ],
  ["dilated", { images: [3, 18, 9, 9], weight: [8, 18, 3, 3], padding: 2, dilation: 2 }],
];

const [, SIMPLE] = CASES[0] as (typeof CASES)[0];

const GRADIENTS: readonly [string, (gradient: Tensor) => Tensor][] = [
  ["ordinary", (g) => g],
  ["all zero", (g) => ops.mulScalar(g, 0)],
  ["too small to divide", (g) => ops.mulScalar(g, 1e-44)],
  ["too large to add", (g) => ops.mulScalar(g, 3e38)],
  ["infinite in one place", (g) => spoilt(g, Number.POSITIVE_INFINITY)],
  ["not a number in one place", (g) => spoilt(g, Number.NaN)],
];

function spoilt(gradient: Tensor, value: number): Tensor {
  const result = gradient.clone();
  result.select(0, 1).select(0, 2).select(0, 1).narrow(0, 1, 1).fill_(value);
  return result;
}

/** Whether inputs are packed here (native/integer_tile.h). */
const packs = process.arch === "x64" && process.env.PEEKABOO_INTEGERS === undefined;

describe.skipIf(!packs)("a packed input", () => {
  it.each(CASES)("has the gradients of one that was kept, whatever the output's is: %s", (_, shape) => {
    for (const [name, change] of GRADIENTS) {
      for (const signed of [true, false]) {
        for (const layout of ["channelsLast", "contiguous"] as const) {
          scope(() => {
            const own = given(shape, { signed, layout, change });
            const kept = gradients(own, shape, KEPT, signed);
            const packed = gradients(own, shape, PACKED, signed);
            expect(kept[1]?.length).toBe(4 * numel(shape.weight));
            expect([packed[0]?.equals(kept[0] as Buffer), packed[1]?.equals(kept[1] as Buffer)], name).toEqual([
              true,
              true,
            ]);
          });
        }
      }
    }
  });

  it("isn't needed any more: its memory may be written to, unlike that of one that is kept", () => {
    scope(() => {
      const own = given(SIMPLE);
      const expected = gradients(own, SIMPLE, PACKED);
      const change = (how: typeof PACKED) => {
        const input = own.input.detach().clone().requireGrad();
        const output = convolve({ ...own, input }, SIMPLE, how);
        noGrad(() => input.fill_(0.5));
        return grad([output], [own.weight], { gradients: [own.gradient(output.shape)] }).map(bytesOf);
      };
      expect(change(PACKED)[0]?.equals(expected[1] as Buffer)).toBe(true);
      expect(() => change(KEPT)).toThrow("modified by an inplace operation");
    });
  });

  it("is there for as many backward passes as the graph is", () => {
    scope(() => {
      for (const [name, change] of GRADIENTS) {
        const own = given(SIMPLE, { change });
        const output = convolve(own, SIMPLE, PACKED);
        const passes = [true, false].map((retainGraph) =>
          grad([output], [own.input, own.weight], { gradients: [own.gradient(output.shape)], retainGraph }).map(
            bytesOf,
          ),
        );
        for (const [i, bytes] of passes[0]?.entries() ?? [])
          expect(bytes.equals(passes[1]?.[i] as Buffer), name).toBe(true);
        expect(() => grad([output], [own.weight], { gradients: [own.gradient(output.shape)] })).toThrow(
          "a second time",
        );
      }
    });
  });

  it("that has levels of no size, or isn't finite, is kept", () => {
    for (const [name, change] of GRADIENTS) {
      if (name === "ordinary") continue;
      scope(() => {
        const own = given(SIMPLE);
        const input = ops.contiguous(change(own.input.detach()), { memoryFormat: "channelsLast" }).requireGrad();
        const [packed, kept] = [PACKED, KEPT].map((how) => gradients({ ...own, input }, SIMPLE, how));
        for (const [i, bytes] of packed?.entries() ?? []) expect(bytes.equals(kept?.[i] as Buffer), name).toBe(true);
      });
    }
  });

  it("has no part where the weight asks for no gradient", () => {
    scope(() => {
      const own = given(SIMPLE);
      const expected = gradients(own, SIMPLE, PACKED);
      const frozen = { ...own, weight: own.weight.detach() };
      const [ofInput] = gradients(frozen, SIMPLE, PACKED);
      expect(ofInput?.equals(expected[0] as Buffer)).toBe(true);
      expect(noGrad(() => convolve(own, SIMPLE, PACKED)).requiresGrad).toBe(false);
    });
  });

  it("gives floats back that are the same with every kernel that this processor has, and without any", () => {
    const script = `
      import { grad, manualSeed, ops } from ${JSON.stringify(import.meta.resolve("@peekaboo/torch"))};
      import { pabOps } from ${JSON.stringify(new URL("../../dist/native/library.js", import.meta.url).href)};
      manualSeed(1);
      const [x, w] = [ops.randn([9, 50, 12, 12]), ops.randn([21, 50, 3, 3]).requireGrad()];
      const results = [8, 5, 1].flatMap((msbBits) => [true, false].map((inputSigned) => {
        const y = pabOps().psgConv2d(x, w, ops.onesLike(w.detach()), null, { padding: 1, inputSigned, msbBits, msbBitsGrad: 16, sparsify: true, takeSign: false });
        manualSeed(2);
        const [g] = grad([y], [w], { gradients: [ops.mulScalar(ops.randn(y.shape), 1e-41)] });
        return Buffer.from(g.contiguous().toTypedArray().buffer).toString("base64");
      }));
      console.log(results.join());`;
    const results = ["none", "avx512-vnni", "avx-vnni", "avx512", "avx2"].map((kernel) => {
      const env = { ...process.env, PEEKABOO_INTEGERS: kernel };
      return spawnSync(process.execPath, ["--input-type=module", "-e", script], { env, encoding: "utf8" }).stdout;
    });
    expect(results[0]?.length).toBeGreaterThan(1000);
    expect(new Set(results).size).toBe(1);
  });
});
