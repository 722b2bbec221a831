// How many compilers may run at once: one a core that this process may use, as long as each has the memory that it needs.
import { totalmem } from "node:os";
import { cores, memoryLimits } from "../packages/torch/dist/cores.js";

const BYTES_OF_ONE = 1.5e9;
const memory = Math.min(totalmem(), ...memoryLimits().map(({ limit }) => limit));
console.log(Math.max(1, Math.min(cores().count, Math.floor(memory / BYTES_OF_ONE))));
