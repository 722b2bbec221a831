// At which density does learning signs break, and does it matter where the weights are? A study may be a program: here its
// densities are spaced evenly on a logarithmic axis. Twelve runs of one epoch:
//
//   npx tsc -b examples && npx peekaboo sweep examples/dist/study.js --parallel 2
//
// Then look at results/example/report.html. With a Node that strips types (22.18 or newer) examples/study.ts itself will do.

import type { StudyFile } from "peekaboo";

const [least, most, count] = [0.01, 0.5, 3];
const densities = Array.from({ length: count }, (_, i) =>
  Number((least * (most / least) ** (i / (count - 1))).toFixed(4)),
);

const study: StudyFile = {
  name: "example",
  about: "At which density does learning signs break, and does it matter where the weights are?",
  base: {
    arch: "PsgResNet20",
    width: 0.5,
    initMethod: "kaiming_normal",
    optimizer: "BOP",
    epochs: 1,
    batchSize: 64,
    bop: { ar: 1e-2, tau: 1e-5, arSchedule: "linear", arFinal: 5e-4 },
    psg: { msbBits: 8, msbBitsGrad: 16, threshold: { value: 1e-7 }, takeSign: false, sparsify: true },
  },
  runs: [
    { name: "SynFlow", pruning: { pruner: "SynFlow", iterations: 100 } },
    { name: "at random", pruning: { pruner: "Rand" } },
  ],
  grid: { "pruning.density": densities, seed: [0, 1] },
};

export default study;
