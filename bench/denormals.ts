// A training step whose gradients are denormal numbers against one of ordinary gradients, alternating in one process. They are
// flushed to zero, so that both take the same time; without that, Intel's processors take many times as long.
// node bench/dist/denormals.js [ARCH=ResNet20] [BATCH=128] [REPETITIONS=15]
import { flushesDenormals } from "@peekaboo/torch";
import { pabOps } from "#peekaboo/native/library";
import { openBatches } from "./batches.js";
import { machine, median, refuseCollapsed, seconds, spread } from "./statistics.js";
import { stepper } from "./stepper.js";

const [arch = "ResNet20", batch = "128", repetitions = "15"] = process.argv.slice(2);
/** Gradients of some 1e-3 become some 1e-39. */
const FACTOR = 1e-36;
/** What a step with denormals may take, of one without. */
const MOST = 1.5;

pabOps().reuseMemory(true);
const batches = await openBatches(Number(batch));
let worst = 0;
for (const name of [arch, `Psg${arch}`]) {
  const signs = name !== arch;
  const [usual, tiny] = [stepper(name, batches, { signs }), stepper(name, batches, { signs, factor: FACTOR })];
  const times = { usual: [] as number[], tiny: [] as number[] };
  for (let i = 0; i <= Number(repetitions); i++) {
    const taken = { usual: seconds(usual.step), tiny: seconds(tiny.step) };
    // The first of each warms up.
    if (i === 0) continue;
    times.usual.push(taken.usual);
    times.tiny.push(taken.tiny);
  }
  refuseCollapsed(usual.losses, name);
  refuseCollapsed(tiny.losses, `${name} with tiny gradients`);
  console.log(`${name} batch ${batch}, ordinary gradients: ${spread(times.usual)} a step`);
  console.log(`${name} batch ${batch}, denormal gradients: ${spread(times.tiny)} a step`);
  const ratio = median(times.tiny) / median(times.usual);
  console.log(`ratio of the medians ${ratio.toFixed(3)}`);
  worst = Math.max(worst, ratio);
}
console.log(`denormals ${flushesDenormals() ? "are flushed to zero" : "are computed with"}; ${machine()}`);
if (worst > MOST) {
  console.error(`a step with denormal gradients takes ${worst.toFixed(2)} times as long: more than ${MOST}`);
  process.exitCode = 1;
}
