// The float32 convolutions of 3 × 3 and stride 1 of CIFAR's ResNets, channels last, as `--conv fast` and `--conv exact` compute
// them: output and input gradient, alternating in one process, layer by layer.
// node bench/dist/winograd.js [REPETITIONS=15] [THREADS]     one thread is best measured where other processes run
import { grad, ops, scope, setThreads, type Tensor } from "@peekaboo/torch";
import { cores } from "@peekaboo/torch/cores";
import { pabOps } from "#peekaboo/native/library";
import { machine, median, seconds } from "./statistics.js";

const [repetitions = "15", threads = String(cores().count)] = process.argv.slice(2);
setThreads(Number(threads));
pabOps().reuseMemory(true);
// As much as a training holds; a quarter of it may wait idle, so that layers find memory as they do there.
using _ballast = ops.zeros([2 ** 28]);

/** Channels in and out, pixels a side, and images. */
type Layer = readonly [input: number, output: number, side: number, batch: number];

const stages = (width: number, side: number, count: number, batch: number) =>
  Array.from({ length: count }, (_, i): Layer => [width * 2 ** i, width * 2 ** i, side / 2 ** i, batch]);
const networks: Record<string, readonly Layer[]> = {
  ResNet18: [[3, 64, 32, 128], ...stages(64, 32, 4, 128)],
  ResNet20: [[3, 16, 32, 128], ...stages(16, 32, 3, 128)],
  "ResNet18, width 0.25": stages(16, 32, 4, 64),
  VGG: [[512, 512, 2, 128]],
};

const layout = { memoryFormat: "channelsLast" } as const;
const random = (...shape: number[]) => ops.contiguous(ops.randn(shape), layout);

/** Seconds of output and input gradient. */
function cost(x: Tensor, w: Tensor, g: Tensor, fast: boolean): [number, number] {
  return scope(() => {
    let y: Tensor | null = null;
    const forward = seconds(() => {
      y = pabOps().conv2d(x, w, null, 1, 1, 1, 1, { fast });
    });
    if (y === null) throw new TypeError("no output");
    const outputs = [y];
    return [forward, seconds(() => grad(outputs, [x], { gradients: [g] }))];
  });
}

for (const [name, layers] of Object.entries(networks)) {
  for (const [input, output, side, batch] of layers) {
    const x = random(batch, input, side, side).requireGrad();
    const g = random(batch, output, side, side);
    const w = ops.randn([output, input, 3, 3]);
    const times = [true, false].map((fast) => ({ fast, forward: [] as number[], backward: [] as number[] }));
    for (let i = 0; i <= Number(repetitions); i++) {
      for (const { fast, forward, backward } of times) {
        const [one, other] = cost(x, w, g, fast);
        if (i === 0) continue;
        forward.push(one);
        backward.push(other);
      }
    }
    for (const part of ["forward", "backward"] as const) {
      const [fast = [], exact = []] = times.map((time) => time[part]);
      const text = (of: (values: readonly number[]) => number) =>
        `${(1e3 * of(fast)).toFixed(2)} / ${(1e3 * of(exact)).toFixed(2)} ms = ${(of(fast) / of(exact)).toFixed(2)}`;
      const least = (values: readonly number[]) => Math.min(...values);
      console.log(
        `${name} ${input}→${output} @ ${side}, batch ${batch}, ${part}: least ${text(least)}, median ${text(median)}`,
      );
    }
    for (const tensor of [x, g, w]) tensor.dispose();
  }
}
console.log(`fast / exact; ${machine()}`);
