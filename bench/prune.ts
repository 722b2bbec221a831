// SynFlow in rounds on a random CIFAR network.
// node bench/dist/prune.js [ARCH=ResNet20] [ROUNDS=100] [REPETITIONS=3]
import { Network } from "peekaboo/models/network";
import { findPruner } from "peekaboo/pruners/registry";
import { prune } from "peekaboo/pruning/loop";
import { median, peakMemory } from "./statistics.js";

const [arch = "ResNet20", rounds = "100", repetitions = "3"] = process.argv.slice(2);
const times: number[] = [];
for (let i = 0; i < Number(repetitions); i++) {
  const network = new Network({ arch, numClasses: 10 });
  network.initialise("kaiming_normal", 0);
  const begun = performance.now();
  await prune(network, {
    pruner: findPruner("SynFlow"),
    density: 0.3,
    iterations: Number(rounds),
    schedule: "exponential",
    scope: "global",
    imageShape: [3, 32, 32],
  });
  times.push((performance.now() - begun) / 1000);
  network.dispose();
}
console.log(`${arch}: ${rounds} rounds of SynFlow in ${median(times).toFixed(2)} s`);
console.log(`peak memory ${peakMemory().toFixed(2)} GB`);
