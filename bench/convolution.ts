// The float64 convolutions of a ResNet18, as SynFlow (one image) and SNIP (many) have them: output and both gradients, ours
// against ATen's im2col and BLAS, alternating in one process.
// node bench/dist/convolution.js [SIZE=32|224] [BATCH=1] [REPETITIONS=15] [ours|aten: that one alone, for its memory]
// With another BLAS: LD_LIBRARY_PATH=FOLDER-OF-libblas.so.3 before it.
import { grad, ops, scope, setThreads } from "@peekaboo/torch";
import { cores } from "@peekaboo/torch/cores";
import { pabOps } from "#peekaboo/native/library";
import { machine, median, peakMemory, spread } from "./statistics.js";

const [size = "32", batch = "1", repetitions = "15", only] = process.argv.slice(2);
setThreads(cores().count);
pabOps().reuseMemory(true);

/** Channels in and out, kernel, stride, pixels a side, and how many there are of it. */
type Layer = readonly [input: number, output: number, kernel: number, stride: number, side: number, count: number];

const large = size === "224";
const first = large ? 56 : 32;
const layers: readonly Layer[] = [
  large ? [3, 64, 7, 2, 224, 1] : [3, 64, 3, 1, 32, 1],
  [64, 64, 3, 1, first, 4],
  ...[1, 2, 3].flatMap((stage): Layer[] => {
    const [width, side] = [64 * 2 ** stage, first / 2 ** stage];
    return [
      [width / 2, width, 3, 2, 2 * side, 1],
      [width / 2, width, 1, 2, 2 * side, 1],
      [width, width, 3, 1, side, 3],
    ];
  }),
];
const cases = layers.map(([input, output, kernel, stride, side, count]) => ({
  x: ops.rand([Number(batch), input, side, side], { dtype: "float64" }).requireGrad(),
  w: ops.rand([output, input, kernel, kernel], { dtype: "float64" }).requireGrad(),
  stride,
  padding: kernel >> 1,
  count,
}));

/** Seconds by the clock, and of all threads together, which a busy machine falsifies less. */
function cost(convolve: typeof ops.conv2d): { clock: number; cpu: number } {
  const [begun, before] = [performance.now(), process.cpuUsage()];
  for (const { x, w, stride, padding, count } of cases) {
    for (let i = 0; i < count; i++) scope(() => grad([convolve(x, w, null, stride, padding).sum()], [x, w]));
  }
  const { user, system } = process.cpuUsage(before);
  return { clock: (performance.now() - begun) / 1000, cpu: (user + system) / 1e6 };
}

const ways = { ours: pabOps().conv2d, aten: ops.conv2d };
const names = (Object.keys(ways) as (keyof typeof ways)[]).filter((name) => only === undefined || name === only);
for (const name of names) cost(ways[name]);
const costs = names.map((name) => ({ name, clock: [] as number[], cpu: [] as number[] }));
for (let i = 0; i < Number(repetitions); i++) {
  for (const { name, clock, cpu } of costs) {
    const one = cost(ways[name]);
    clock.push(one.clock);
    cpu.push(one.cpu);
  }
}
for (const key of ["clock", "cpu"] as const) {
  for (const one of costs)
    console.log(`${one.name}: ${spread(one[key], { unit: "ms", digits: 0, times: 1000 })} (${key})`);
  const [ours, aten] = costs.map((one) => one[key]);
  if (ours === undefined || aten === undefined) continue;
  const ratio = (of: (values: readonly number[]) => number) => (of(aten) / of(ours)).toFixed(2);
  console.log(`aten / ours: ${ratio(median)} of medians, ${ratio((values) => Math.min(...values))} of minima (${key})`);
}
console.log(`ResNet18 at ${size} × ${size}, batch ${batch}; peak memory ${peakMemory().toFixed(2)} GB; ${machine()}`);
