// What is told of the kernels is what was chosen, and each of them is as right.
import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { cpuFeatures } from "../runs/environment.js";
import { chosenKernels, type Kernels } from "./kernels.js";

const features = new Set(cpuFeatures());
const has = (...names: string[]) => names.every((name) => features.has(name));
const AVX2 = has("avx2", "fma");
const AVX512 = AVX2 && has("avx512f", "avx512bw", "avx512dq", "avx512vl");

/** By instructions of so many bits, what this processor should compute with. */
function expected(bits: 512 | 256 | 128): Kernels {
  const name = AVX512 && bits === 512 ? "avx512" : AVX2 && bits >= 256 ? "avx2" : "portable";
  const vnni = name === "avx512" && has("avx512_vnni") ? "avx512-vnni" : name !== "portable" && has("avx_vnni");
  return {
    fast: name,
    integers: vnni === true ? "avx-vnni" : vnni || (name === "portable" ? "none" : name),
    threshold: name === "avx512" ? name : "portable",
    float64: name,
  };
}

interface Report {
  kernels: Kernels;
  /** The largest error of each, of the largest value. */
  errors: Record<keyof Kernels, number>;
}

/** Another process's kernels, and what they compute. */
function reportWith(variables: NodeJS.ProcessEnv): Report {
  const script = `
    import { grad, manualSeed, ops, Tensor } from ${JSON.stringify(import.meta.resolve("@peekaboo/torch"))};
    import { pabOps } from ${JSON.stringify(new URL("../../dist/native/library.js", import.meta.url).href)};
    import { chosenKernels } from ${JSON.stringify(new URL("../../dist/native/kernels.js", import.meta.url).href)};
    const { conv2d, psgConv2d, psgConv2dReference, kthSmallest } = pabOps();
    manualSeed(3);
    const layout = { memoryFormat: "channelsLast" };
    const double = (tensor) => tensor.detach().to({ dtype: "float64" });
    const error = (a, b) => double(a).sub(double(b)).abs().max().item() / double(b).abs().max().item();
    const [x, w] = [ops.contiguous(ops.randn([8, 20, 12, 12]), layout), ops.randn([24, 20, 3, 3])];
    const reference = ops.conv2d(double(x), double(w), null, 1, 1);
    const gradient = ops.randn(reference.shape);
    const ofWeight = (operator) => {
      const leaf = w.detach().requireGrad();
      const options = { padding: 1, inputSigned: true, msbBits: 8, msbBitsGrad: 16, sparsify: true, takeSign: false };
      return grad([operator(x, leaf, ops.onesLike(w), null, options)], [leaf], { gradients: [gradient] })[0];
    };
    const scores = ops.randn([100_001], { dtype: "float64" });
    const errors = {
      fast: error(conv2d(x, w, null, 1, 1, 1, 1, { fast: true }), reference),
      integers: error(ofWeight(psgConv2d), ofWeight(psgConv2dReference)),
      threshold: Math.abs(kthSmallest([scores], 30_000) - scores.toTypedArray().toSorted()[29_999]),
      float64: error(conv2d(double(x), double(w), null, 1, 1), reference),
    };
    console.log(JSON.stringify({ kernels: chosenKernels(), errors }));`;
  const env = { ...process.env, ATEN_CPU_CAPABILITY: undefined, PEEKABOO_INTEGERS: undefined, ...variables };
  const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
    env,
    encoding: "utf8",
  });
  expect(stderr).toBe("");
  return JSON.parse(stdout) as Report;
}

const BOUNDS: Readonly<Record<keyof Kernels, number>> = { fast: 1e-5, integers: 1e-5, threshold: 0, float64: 1e-14 };

describe.skipIf(process.arch !== "x64" || features.size === 0)("the kernels", () => {
  it.each([
    [undefined, 512],
    ["avx512", 512],
    ["avx2", 256],
    ["default", 128],
  ] as const)("of ATEN_CPU_CAPABILITY=%s are told, and right", (ATEN_CPU_CAPABILITY, bits) => {
    const { kernels, errors } = reportWith({ ATEN_CPU_CAPABILITY });
    expect(kernels).toEqual(expected(bits));
    for (const [name, bound] of Object.entries(BOUNDS)) {
      expect({ name, error: errors[name as keyof Kernels] <= bound }).toEqual({ name, error: true });
    }
  });

  it("of PEEKABOO_INTEGERS are told", () => {
    expect(reportWith({ PEEKABOO_INTEGERS: "none" }).kernels).toEqual({ ...expected(512), integers: "none" });
    if (AVX2) expect(reportWith({ PEEKABOO_INTEGERS: "avx2" }).kernels.integers).toBe("avx2");
  });
});

it("this process has kernels of one processor", () => {
  expect(["portable", "avx2", "avx512"]).toContain(chosenKernels().fast);
});
