import type { Bench } from "./bench.js";
import { bop } from "./bop.js";
import { data } from "./data.js";
import { denormals } from "./denormals.js";
import { parts } from "./parts.js";
import { peaks } from "./peaks.js";
import { pruning } from "./pruning.js";
import { start } from "./start.js";
import { steps } from "./steps.js";

/** Every bench, in the order in which they run. */
export const BENCHES: readonly Bench[] = [peaks, steps, parts, bop, data, pruning, denormals, start];
