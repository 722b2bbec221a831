import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Bench, Table } from "./bench.js";
import { title } from "./workloads.js";

const program = fileURLToPath(new URL("parts-of.js", import.meta.url));

const NOTES = [
  "Each operator alone at the layers' shapes, summed over the layers: “other” is the step less that sum – the loss, memory, autograd and JavaScript, and what operators cost each other. The making of the batch comes before the step.",
  "The floor is the longer of operations by the peak and bytes by the bandwidth, call by call; what fits the caches can be faster than its bytes.",
];

export const parts: Bench = {
  name: "parts",
  about: "the parts of a PSG step, each with the least that it could take",
  async run({ workloads, repetitions, peaks, say }) {
    const { flops, bytes } = await peaks();
    const tables: Table[] = [];
    for (const workload of workloads) {
      say(`${title(workload)}: the parts of a step`);
      const args = [program, JSON.stringify(workload), `${repetitions}`, JSON.stringify({ flops, bytes })];
      const { stdout } = await promisify(execFile)(process.execPath, args);
      tables.push(JSON.parse(stdout) as Table);
    }
    return { tables: tables.map((table, i) => (i === 0 ? { ...table, notes: NOTES } : table)) };
  },
};
