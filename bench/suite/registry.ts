import type { Bench } from "./bench.js";
import { bop } from "./bop.js";
import { data } from "./data.js";
import { denormals } from "./denormals.js";
import { parts } from "./parts.js";
import { peaks } from "./peaks.js";
import { saliency } from "./saliency.js";
import { scale } from "./scale.js";
import { start } from "./start.js";
import { steps } from "./steps.js";
import { synflow } from "./synflow.js";

/** Every bench, in the order in which they run. */
export const BENCHES: readonly Bench[] = [peaks, steps, parts, bop, data, synflow, saliency, denormals, scale, start];
