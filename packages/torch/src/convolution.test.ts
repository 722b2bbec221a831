import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { grad } from "./autograd.js";
import * as ops from "./generated/ops.js";
import type { MemoryFormat } from "./memory-format.js";
import { conv2dShape, type Size2d } from "./nn/layers.js";
import { manualSeed } from "./runtime.js";
import { scope } from "./scope.js";
import type { Tensor } from "./tensor.js";

const IMAGES = 3;

interface Shape {
  inputs: number;
  outputs: number;
  kernel: Size2d;
  stride: Size2d;
  groups: number;
  dilation?: Size2d;
  size?: number;
}

/** Shortcuts of narrow networks: an input of fewer channels than a block. */
const SHORTCUTS: readonly Shape[] = [3, 6, 8, 15, 16].flatMap((inputs) =>
  [8, 32].map((size) => ({ inputs, outputs: 2 * inputs, kernel: 1, stride: 2, groups: 1, size })),
);

/** Channels that fill the blocks of oneDNN's layouts and that don't, in every combination with the rest. */
const CHANNELS: readonly Shape[] = [1, 2, 3, 5].flatMap((kernel) =>
  [1, 2].flatMap((stride) => [
    ...[1, 3, 5, 16, 24, 48].flatMap((inputs) =>
      [4, 16, 17].map((outputs) => ({ inputs, outputs, kernel, stride, groups: 1 })),
    ),
    ...[3, 8].flatMap((groups) =>
      [1, 4].flatMap((per) =>
        [1, 2, 16].map((out) => ({ inputs: groups * per, outputs: groups * out, kernel, stride, groups })),
      ),
    ),
  ]),
);

/** Kernels and strides that aren't square, and dilated ones. */
const OBLONG: readonly Shape[] = [
  { kernel: 3, stride: 1, dilation: 2 },
  { kernel: 3, stride: 2, dilation: 2 },
  { kernel: [1, 3], stride: [1, 2] },
  { kernel: [5, 1], stride: 1, dilation: [2, 1] },
  { kernel: [3, 2], stride: [2, 1], dilation: [1, 3] },
].flatMap(
  (window) =>
    [
      ...[3, 16, 24].flatMap((inputs) => [4, 17].map((outputs) => ({ ...window, inputs, outputs, groups: 1 }))),
      ...[1, 4].map((per) => ({ ...window, inputs: 8 * per, outputs: 16, groups: 8 })),
    ] as Shape[],
);

/** max |a - b| / max |b| */
function error(actual: Tensor, expected: Tensor): number {
  const difference = ops.max(ops.abs(ops.sub(actual.to({ dtype: "float64" }), expected))).item();
  return Number(difference) / Number(ops.max(ops.abs(expected)).item());
}

describe.each<MemoryFormat>(["contiguous", "channelsLast"])("conv2d and its gradients, %s", (memoryFormat) => {
  it("equals its computation in double precision, whatever the channels", () => {
    manualSeed(0);
    const wrong: string[] = [];
    for (const shape of [...SHORTCUTS, ...CHANNELS, ...OBLONG]) {
      scope(() => {
        const errors = errorsOf(shape, memoryFormat);
        // NaN isn't within it either.
        if (!errors.every((value) => value < 1e-5)) wrong.push(`${JSON.stringify(shape)}: ${errors}`);
      });
    }
    expect(wrong).toEqual([]);
  });
});

// oneDNN reads the variables when libtorch brings it in. Its kernels for other processors have faults of their own.
describe.skipIf(process.env.ONEDNN_MAX_CPU_ISA !== undefined)("with the instructions of an older processor", () => {
  it.each(["AVX2", "SSE41"])("%s, convolutions are as right", (instructions) => {
    const vitest = join(dirname(createRequire(import.meta.url).resolve("vitest/package.json")), "vitest.mjs");
    const env = { ...process.env, ONEDNN_MAX_CPU_ISA: instructions, DNNL_MAX_CPU_ISA: instructions };
    const { status, stdout } = spawnSync(
      process.execPath,
      [vitest, "run", "--pool=threads", fileURLToPath(import.meta.url)],
      {
        encoding: "utf8",
        env,
        timeout: 150_000,
        // It may have got into a loop from which no signal wakes it.
        killSignal: "SIGKILL",
      },
    );
    expect({ status, output: status === 0 ? "" : stdout }).toEqual({ status: 0, output: "" });
  });
});

/** Of the output, the input's gradient and the weight's. */
function errorsOf(
  { inputs, outputs, kernel, stride, groups, dilation = 1, size = 9 }: Shape,
  memoryFormat: MemoryFormat,
) {
  const input = ops.contiguous(ops.randn([IMAGES, inputs, size, size]), { memoryFormat });
  const weight = ops.randn(conv2dShape({ inChannels: inputs, outChannels: outputs, kernelSize: kernel, groups }));
  const padding = weight.shape.slice(2).map((side) => Math.floor(side / 2));
  const convolve = (type: "float32" | "float64", gradient?: Tensor) => {
    const leaves = [
      input.to({ dtype: type }).detach().requireGrad(),
      weight.to({ dtype: type }).detach().requireGrad(),
    ];
    const [x, w] = leaves as [Tensor, Tensor];
    const output = ops.conv2d(x, w, null, stride, padding, dilation, groups);
    const received = gradient ?? ops.randn(output.shape);
    return { received, results: [output, ...grad([output], leaves, { gradients: [received.to({ dtype: type })] })] };
  };
  const single = convolve("float32");
  const double = convolve("float64", single.received);
  return single.results.map((value, i) => error(value as Tensor, double.results[i] as Tensor));
}
