// One training step, dense against PSG with Bop, alternating in one process.
// node bench/dist/step.js [ARCH=ResNet20] [BATCH=128] [REPETITIONS=7] [dense|psg: that one alone, for its memory]
import { ops, optim, scope } from "@peekaboo/torch";
import { Network } from "peekaboo/models/network";
import { pabOps } from "peekaboo/native/library";
import { Bop } from "peekaboo/optim/bop";
import { median, peakMemory, seconds } from "./statistics.js";

const [arch = "ResNet20", batchText = "128", repetitionsText = "7", only] = process.argv.slice(2);
const batch = Number(batchText);
const psg = {
  backward: true,
  msbBits: 8,
  msbBitsGrad: 16,
  threshold: { mode: "relative", value: 1e-7 },
  sparsify: true,
  takeSign: false,
} as const;

pabOps().reuseMemory(process.env.REUSE !== "0");
// The layout of the trainer's batches, or libtorch's default.
const memoryFormat = process.env.LAYOUT === "nchw" ? "contiguous" : "channelsLast";
const input = ops.contiguous(ops.randn([batch, 3, 32, 32]), { memoryFormat });
const target = ops.zeros([batch], { dtype: "int64" });

/** One step of a network whose convolutions Bop trains, or of one that SGD trains alone. */
function stepper(name: string, signs: boolean): () => void {
  const network = new Network({ arch: name, numClasses: 10, psg });
  network.initialise("kaiming_normal", 0);
  const bop = signs ? new Bop(network.bopParameters(), { ar: 1e-3, tau: 1e-6 }) : null;
  const rest = signs ? network.otherParameters() : network.module.namedParameters();
  const sgd = new optim.SGD(rest, { lr: 0.1, momentum: 0.9, weightDecay: 5e-4 });
  return () =>
    scope(() => {
      network.module.zeroGrad();
      const loss = ops.crossEntropyLoss(network.call(input), target);
      loss.backward();
      bop?.step();
      sgd.step();
    });
}

const steppers = new Map<string, () => void>();
if (only !== "psg") steppers.set("dense", stepper(arch, false));
if (only !== "dense") steppers.set("psg", stepper(`Psg${arch}`, true));

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
