// A training step whose gradients are denormal numbers against one of ordinary gradients. They are flushed to zero, so that both
// take the same time; without that, Intel's processors take many times as long.
import { flushesDenormals } from "@peekaboo/torch";
import { pabOps } from "#peekaboo/native/library";
import { openBatches } from "../batches.js";
import { alternating, median, refuseCollapsed, seconds, spreadOf } from "../statistics.js";
import { stepper } from "../stepper.js";
import type { Bench, Row } from "./bench.js";
import { psgName, QUICK, WORKLOADS } from "./workloads.js";

/** Gradients of some 1e-3 become some 1e-39. */
const FACTOR = 1e-36;
const BATCH = 32;

export const denormals: Bench = {
  name: "denormals",
  about: "a step with denormal gradients against an ordinary one",
  async run({ quick, repetitions }) {
    pabOps().reuseMemory(true);
    const [first = QUICK] = quick ? [QUICK] : WORKLOADS;
    const batches = await openBatches(quick ? first.batch : BATCH);
    const rows: Row[] = [];
    for (const name of [first.arch, psgName(first.arch)]) {
      const signs = name !== first.arch;
      const [usual, tiny] = [stepper(name, batches, { signs }), stepper(name, batches, { signs, factor: FACTOR })];
      const ways = new Map([
        ["usual", () => seconds(usual.step)],
        ["tiny", () => seconds(tiny.step)],
      ]);
      const times = await alternating(ways, repetitions);
      refuseCollapsed(usual.losses, name);
      refuseCollapsed(tiny.losses, `${name} with tiny gradients`);
      const [ordinary, denormal] = [times.get("usual") ?? [], times.get("tiny") ?? []];
      rows.push({
        network: name,
        "ordinary gradients, s": spreadOf(ordinary),
        "denormal gradients, s": spreadOf(denormal),
        ratio: median(denormal) / median(ordinary),
      });
    }
    const notes = [`Denormal numbers ${flushesDenormals() ? "are flushed to zero" : "are computed with"}.`];
    return { tables: [{ title: "Denormal gradients", notes, rows }] };
  },
};
