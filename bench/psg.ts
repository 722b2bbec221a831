// The predicted weight gradient of a network's layers: quantising x and g, and their product, in floats (as 9 bits of x are) and
// in integers, alternating in one process.
// node bench/dist/psg.js [BATCH=128] [REPETITIONS=9] [THREADS=all]
import { grad, ops, scope, setThreads, type Tensor } from "@peekaboo/torch";
import { cores } from "@peekaboo/torch/cores";
import { pabOps } from "#peekaboo/native/library";
import { machine } from "./statistics.js";

const [batch = "128", repetitions = "9", threads = String(cores().count)] = process.argv.slice(2);
setThreads(Number(threads));
pabOps().reuseMemory(true);

const LAYERS: readonly (readonly [input: number, output: number, side: number, kernel: number, stride: number])[] = [
  [64, 64, 32, 3, 1],
  [128, 128, 16, 3, 1],
  [256, 256, 8, 3, 1],
  [512, 512, 4, 3, 1],
  [64, 128, 32, 3, 2],
  [64, 128, 32, 1, 2],
  [256, 512, 8, 3, 2],
  [16, 16, 32, 3, 1],
  [32, 32, 16, 3, 1],
  [64, 64, 8, 3, 1],
];
const WAYS = { floats: [9, 16], "8/16 bits": [8, 16], "8/8 bits": [8, 8] } as const;

/** Uniform values, laid out as a training has them. */
function random(shape: readonly number[]): Tensor {
  return ops.contiguous(ops.subScalar(ops.rand(shape), 0.5), { memoryFormat: "channelsLast" });
}

/** The least milliseconds by the clock, and of all threads together, which a busy machine falsifies less. */
function least([input, output, side, kernel, stride]: (typeof LAYERS)[number]): [number, number][] {
  return scope(() => {
    const x = random([Number(batch), input, side, side]).relu();
    const weight = random([output, input, kernel, kernel]).requireGrad();
    const mask = ops.onesLike(weight.detach());
    const ways = Object.values(WAYS).map(([msbBits, msbBitsGrad]) => {
      const options = { stride, padding: kernel >> 1, msbBits, msbBitsGrad, sparsify: true, takeSign: false };
      return { result: pabOps().psgConv2d(x, weight, mask, null, options), clock: Infinity, cpu: Infinity };
    });
    const gradients = [random(ways[0]?.result.shape ?? [])];
    for (let i = 0; i < Number(repetitions); i++) {
      for (const way of ways) {
        const [begun, before] = [performance.now(), process.cpuUsage()];
        scope(() => grad([way.result], [weight], { gradients, retainGraph: true }));
        way.clock = Math.min(way.clock, performance.now() - begun);
        const { user, system } = process.cpuUsage(before);
        way.cpu = Math.min(way.cpu, (user + system) / 1000);
      }
    }
    return ways.map(({ clock, cpu }) => [clock, cpu]);
  });
}

for (const layer of LAYERS) {
  const [input, output, side, kernel, stride] = layer;
  const figures = least(layer).map(
    ([clock, cpu], i) => `${Object.keys(WAYS)[i]} ${clock.toFixed(2)} (${cpu.toFixed(2)})`,
  );
  console.log(
    `${input} → ${output}, ${side} × ${side}, ${kernel} × ${kernel}, stride ${stride}: ${figures.join(", ")}`,
  );
}
console.log(
  `milliseconds, least of ${repetitions}, by the clock (and of ${threads} threads together); batch ${batch}; ${machine()}`,
);
