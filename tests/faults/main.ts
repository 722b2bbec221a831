// Faults on purpose: mutated inputs, kills, full disks, damaged files, a clock that jumps, too little memory.
// node tests/faults/dist/main.js [--quick] [--seed N] [--only WORD]
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { fuzz } from "./fuzz.js";
import { makeNetworks } from "./make-networks.js";
import type { Faults, Tally } from "./tally.js";

const { values } = parseArgs({
  options: { quick: { type: "boolean", default: false }, seed: { type: "string" }, only: { type: "string" } },
});
const seed = Number(values.seed ?? Date.now() % 1_000_000);
const folder = mkdtempSync(join(tmpdir(), "peekaboo-faults-"));
const kept = join(tmpdir(), `peekaboo-faults-lost-${seed}`);
mkdirSync(kept, { recursive: true });
const say = (line: string) => void process.stdout.write(`${line}\n`);
const faults: Faults = { seed, quick: values.quick, folder, kept, say };

const small = makeNetworks(folder, 0.05);
const parts: Record<string, () => Promise<Tally[]>> = {
  fuzz: () => fuzz(faults, [small.pruned, small.checkpoint]),
};

const tallies: Tally[] = [];
try {
  for (const [name, part] of Object.entries(parts)) {
    if (values.only === undefined || name === values.only) tallies.push(...(await part()));
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
for (const tally of tallies) for (const loss of tally.lost) say(`LOST  ${tally.category}: ${loss}`);
say(`\nFaults of seed ${seed}:`);
for (const tally of tallies) say(`${tally}`);
if (tallies.some(({ lost }) => lost.length > 0)) process.exitCode = 1;
