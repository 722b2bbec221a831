import { spawnSync } from "node:child_process";
import { numel } from "@peekaboo/files/safetensors";
import { RandomStream } from "@peekaboo/seed";
import { grad, scope, Tensor, TorchError } from "@peekaboo/torch";
import { describe, expect, it } from "vitest";
import { pabOps } from "./library.js";

/** Values in [-1, 1), a fifth of them zero. */
function random(name: string, shape: readonly number[]): Tensor {
  const words = new Uint32Array(numel(shape));
  new RandomStream(11, name).fillUint32(words);
  const values = Float64Array.from(words, (word) => (word % 5 === 0 ? 0 : word / 2 ** 31 - 1));
  return Tensor.from(values, { shape });
}

interface Case {
  input: readonly number[];
  weight: readonly number[];
  stride?: number | readonly number[];
  padding?: number | readonly number[];
  dilation?: number | readonly number[];
}

/** A layer, its ∂R/∂y, and its scores as autograd has them. */
function layer({ input: shape, weight: weightShape, stride = 1, padding = 0, dilation = 1 }: Case) {
  const input = random("input", shape);
  const weight = random("weight", weightShape).requireGrad();
  const output = pabOps().conv2d(input, weight, null, stride, padding, dilation);
  const gradient = random("gradient", output.shape);
  const [derivative = weight] = grad([output], [weight], { gradients: [gradient] });
  const weights = Float64Array.from(weight.detach().toTypedArray(), Number);
  const derivatives = Float64Array.from(derivative.toTypedArray(), Number);
  const scores = derivatives.map((value, i) => Math.abs(value * (weights[i] ?? 0)));
  return { input, weight: weight.detach(), gradient, weights, scores, geometry: { stride, padding, dilation } };
}

type Layer = ReturnType<typeof layer>;

function scan({ gradient, input, weight, geometry }: Layer, bound: number, every = 1) {
  const [scores, positions, zeros, nan] = pabOps().flowScan(gradient, input, weight, { ...geometry, bound, every });
  const at = Array.from(positions.toTypedArray(), Number);
  const values = Array.from(scores.toTypedArray(), Number);
  const pairs = at.map((position, i) => [position, values[i] ?? Number.NaN] as const).sort(([a], [b]) => a - b);
  return { pairs, zeros, nan, scores, positions };
}

/** The pairs that a scan should find. */
function small({ weights, scores }: Layer, bound: number, here = (_position: number) => true) {
  return Array.from(scores, (score, i) => [i, score] as const).filter(
    ([i, score]) => weights[i] !== 0 && score <= bound && here(i),
  );
}

const cases: [string, Case][] = [
  ["few pixels", { input: [1, 16, 4, 4], weight: [24, 16, 3, 3], padding: 1 }],
  ["sums in several parts, and edges", { input: [1, 7, 19, 23], weight: [13, 7, 3, 3], padding: 1 }],
  ["more columns than a block has", { input: [1, 70, 12, 12], weight: [11, 70, 3, 3], padding: 1 }],
  ["stride and dilation", { input: [2, 3, 17, 9], weight: [9, 3, 3, 2], stride: [2, 1], padding: [2, 0], dilation: 2 }],
  ["one pixel", { input: [1, 37, 1, 1], weight: [10, 37, 1, 1] }],
];

describe("scanning the scores of synaptic flow", () => {
  it.each(cases)("finds those up to a bound, bit for bit as autograd's: %s", (_, one) => {
    scope(() => {
      const own = layer(one);
      const sorted = own.scores.filter((_, i) => own.weights[i] !== 0).sort();
      const zeros = own.weights.filter((weight) => weight === 0).length;
      expect(zeros).toBeGreaterThan(0);
      const bounds = [-1, 0, sorted[Math.floor(sorted.length / 30)] ?? 0, sorted[sorted.length >> 1] ?? 0, 1e300];
      for (const bound of bounds) {
        const found = scan(own, bound);
        expect(found.pairs).toEqual(small(own, bound));
        expect([found.zeros, found.nan]).toEqual([zeros, false]);
      }
    });
  });

  it.each([2, 3, 50])("looks at each %i-th output alone where it is asked to", (every) => {
    scope(() => {
      const own = layer({ input: [1, 7, 19, 23], weight: [13, 7, 3, 3], padding: 1 });
      const here = (position: number) => Math.floor(position / 63) % every === 0;
      expect(scan(own, 1, every).pairs).toEqual(small(own, 1, here));
    });
  });

  it("tells of a score that is no number, though its weight is zero, and lists infinite ones without a bound", () => {
    scope(() => {
      const own = layer({ input: [1, 2, 3, 3], weight: [4, 2, 1, 1] });
      const broken = Float64Array.from(own.gradient.toTypedArray(), Number);
      broken[0] = Number.POSITIVE_INFINITY;
      const weight = Tensor.from(
        Float64Array.from(own.weights, (value, i) => (i === 0 ? 0 : value || 1)),
        { shape: own.weight.shape },
      );
      const input = own.input.abs().add(1);
      const gradient = Tensor.from(broken, { shape: own.gradient.shape });
      const found = scan({ ...own, weight, gradient, input }, Number.POSITIVE_INFINITY);
      expect([found.nan, found.zeros]).toEqual([true, 1]);
      const [first = [-1, 0]] = found.pairs;
      expect(first).toEqual([1, Number.POSITIVE_INFINITY]);
    });
  });

  it("sets what it has found to zero up to a threshold, and nothing else", () => {
    scope(() => {
      const own = layer({ input: [1, 16, 4, 4], weight: [24, 16, 3, 3], padding: 1 });
      const threshold = own.scores.slice().sort()[1500] ?? 0;
      const { scores, positions } = scan(own, 2 * threshold);
      pabOps().zeroFound_(own.weight, scores, positions, threshold);
      const expected = own.weights.map((weight, i) => ((own.scores[i] ?? 0) <= threshold ? 0 : weight));
      expect(Array.from(own.weight.toTypedArray(), Number)).toEqual(Array.from(expected));
      const beyond = Tensor.from(Int32Array.of(24 * 16 * 9));
      expect(() => pabOps().zeroFound_(own.weight, Tensor.from(Float64Array.of(0)), beyond, 1)).toThrow(TorchError);
    });
  });

  it("finds the same on a processor with AVX-512 and on one without", () => {
    const script = `
      import { manualSeed, ops } from ${JSON.stringify(import.meta.resolve("@peekaboo/torch"))};
      import { pabOps } from ${JSON.stringify(new URL("../../dist/native/library.js", import.meta.url).href)};
      manualSeed(1);
      const [gradient, input, weight] = [[1, 13, 1, 1], [1, 37, 1, 1], [13, 37, 1, 1]].map((shape) =>
        ops.randint(-3, 4, shape, { dtype: "float64" }));
      const found = [-1, 0, 2, 9, Infinity].map((bound) => {
        const [scores, positions, ...counts] = pabOps().flowScan(gradient, input, weight, { bound });
        const values = scores.toTypedArray();
        return [Array.from(positions.toTypedArray(), (at, i) => [at, values[i]]).sort(([a], [b]) => a - b), counts];
      });
      console.log(JSON.stringify(found));`;
    const run = (capability: object) => {
      const env = { ...process.env, ...capability };
      const how = ["--input-type=module", "-e", script];
      const { stdout, stderr } = spawnSync(process.execPath, how, { env, encoding: "utf8" });
      expect(stderr).toBe("");
      return stdout;
    };
    const found = run({});
    expect(JSON.parse(found)[3][0].length).toBeGreaterThan(100);
    expect(run({ ATEN_CPU_CAPABILITY: "default" })).toBe(found);
  });

  it("refuses tensors that are no convolution's", () => {
    scope(() => {
      const own = layer({ input: [1, 2, 3, 3], weight: [4, 2, 1, 1] });
      expect(() => scan({ ...own, gradient: random("g", [1, 5, 3, 3]) }, 1)).toThrow(TorchError);
      expect(() => scan({ ...own, weight: own.weight.to({ dtype: "float32" }) }, 1)).toThrow(/float64 weight/);
      expect(() => scan(own, 1, 0)).toThrow(/every/);
    });
  });
});
