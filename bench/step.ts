// One training step, dense against PSG with Bop, alternating in one process.
// node bench/dist/step.js [ARCH=ResNet20] [BATCH=128] [REPETITIONS=7] [dense|psg: that one alone, for its memory]
import { pabOps } from "peekaboo/native/library";
import { median, peakMemory, seconds } from "./statistics.js";
import { stepper } from "./stepper.js";

const [arch = "ResNet20", batchText = "128", repetitionsText = "7", only] = process.argv.slice(2);
const batch = Number(batchText);
pabOps().reuseMemory(process.env.REUSE !== "0");
// The layout of the trainer's batches, or libtorch's default.
const memoryFormat = process.env.LAYOUT === "nchw" ? "contiguous" : "channelsLast";

const steppers = new Map<string, () => void>();
if (only !== "psg") steppers.set("dense", stepper(arch, batch, false, memoryFormat).step);
if (only !== "dense") steppers.set("psg", stepper(`Psg${arch}`, batch, true, memoryFormat).step);

const times = new Map([...steppers.keys()].map((name) => [name, [] as number[]]));
for (const step of steppers.values()) step();
for (let i = 0; i < Number(repetitionsText); i++) {
  for (const [name, step] of steppers) times.get(name)?.push(seconds(step));
}

const medians = new Map([...times].map(([name, values]) => [name, median(values)]));
for (const [name, value] of medians) console.log(`${arch} batch ${batch} ${name}: ${value.toFixed(3)} s a step`);
const [dense, pab] = [medians.get("dense"), medians.get("psg")];
if (dense !== undefined && pab !== undefined) console.log(`ratio ${(pab / dense).toFixed(3)}`);
console.log(`peak memory ${peakMemory().toFixed(2)} GB`);
