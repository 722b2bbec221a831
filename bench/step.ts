// One training step, dense against PSG with Bop, alternating in one process, on batches of CIFAR-10 from the cache.
// node bench/dist/step.js [ARCH=ResNet20] [BATCH=128] [REPETITIONS=7] [dense|psg: that one alone, for its memory]
import { pabOps } from "#peekaboo/native/library";
import { openBatches } from "./batches.js";
import { machine, median, peakMemory, refuseCollapsed, seconds, spread } from "./statistics.js";
import { type Stepper, stepper } from "./stepper.js";

const [arch = "ResNet20", batch = "128", repetitions = "7", only] = process.argv.slice(2);
pabOps().reuseMemory(process.env.REUSE !== "0");
// The layout of the trainer's batches, or libtorch's default.
const layout = process.env.LAYOUT === "nchw" ? "contiguous" : "channelsLast";
const conv = process.env.CONV === "fast" ? "fast" : "exact";

const batches = await openBatches(Number(batch));
const steppers = new Map<string, Stepper>();
if (only !== "psg") steppers.set("dense", stepper(arch, batches, { signs: false, layout, conv }));
if (only !== "dense") steppers.set("psg", stepper(`Psg${arch}`, batches, { signs: true, layout, conv }));

const times = new Map([...steppers.keys()].map((name) => [name, [] as number[]]));
for (const { step } of steppers.values()) step();
for (let i = 0; i < Number(repetitions); i++) {
  for (const [name, { step }] of steppers) times.get(name)?.push(seconds(step));
}
for (const [name, { losses }] of steppers) refuseCollapsed(losses, name);

for (const [name, values] of times) console.log(`${arch} batch ${batch} ${name}: ${spread(values)} a step`);
const [dense, pab] = [times.get("dense"), times.get("psg")];
if (dense !== undefined && pab !== undefined) console.log(`ratio ${(median(pab) / median(dense)).toFixed(3)}`);
console.log(`peak memory ${peakMemory().toFixed(2)} GB; ${machine()}`);
