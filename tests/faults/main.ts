// Faults on purpose: mutated inputs, kills, full disks, damaged files, a clock that jumps, too little memory, containers.
// node tests/faults/dist/main.js [--quick] [--seed N] [--only WORD]
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { claims } from "./claims.js";
import { clockJumps } from "./clock.js";
import { containers } from "./containers.js";
import { damages } from "./damage.js";
import { fullDisk, readOnly } from "./disks.js";
import { fuzz } from "./fuzz.js";
import { kills, signals, type Whole, wholeRun } from "./kills.js";
import { makeNetworks } from "./make-networks.js";
import { tooLittleMemory } from "./memory.js";
import { paths } from "./paths.js";
import { stores } from "./store.js";
import { streams } from "./streams.js";
import { type Faults, Tally } from "./tally.js";
import { texts } from "./texts.js";
import { missingData } from "./training.js";

const { values } = parseArgs({
  options: { quick: { type: "boolean", default: false }, seed: { type: "string" }, only: { type: "string" } },
});
const seed = Number(values.seed ?? Date.now() % 1_000_000);
const folder = mkdtempSync(join(tmpdir(), "peekaboo-faults-"));
const kept = join(tmpdir(), `peekaboo-faults-lost-${seed}`);
mkdirSync(kept, { recursive: true });
const say = (line: string) => void process.stdout.write(`${line}\n`);
const faults: Faults = { seed, quick: values.quick, folder, kept, say };

const small = await makeNetworks(folder, 0.05);
const medium = await makeNetworks(folder, 0.25);
const absent = missingData();
let reference: Promise<Whole> | undefined;
const whole = () => (reference ??= wholeRun(folder));

/** A part that trains: skipped, visibly, where there are no data. */
async function training(category: string, part: (whole: Whole) => Promise<Tally[]>): Promise<Tally[]> {
  if (absent === undefined) return part(await whole());
  const tally = new Tally(category);
  tally.skipped = absent;
  return [tally];
}

const parts: Record<string, () => Promise<Tally[]>> = {
  fuzz: () => fuzz(faults, [small.pruned, small.checkpoint]),
  claims: () => claims(faults),
  damage: () => damages(faults, medium.checkpoint, medium.pruned),
  paths: () => paths(faults, small.checkpoint),
  texts: () => texts(faults, small.checkpoint),
  kills: () => training("kill -9", (run) => kills(faults, run)),
  signals: () => training("SIGTERM and SIGINT", (run) => signals(faults, run)),
  streams: () => training("lost streams", (run) => streams(faults, run)),
  disk: () => training("full disk", (run) => fullDisk(faults, run)),
  readonly: () => training("read-only folder", () => readOnly(faults)),
  clock: () => training("clock jumps", (run) => clockJumps(faults, run)),
  store: () => training("strangers", () => stores(faults)),
  memory: () => training("too little memory", () => tooLittleMemory(faults)),
  containers: () => training("containers", () => containers(faults)),
};

const tallies: Tally[] = [];
try {
  for (const [name, part] of Object.entries(parts)) {
    if (values.only === undefined || name === values.only) tallies.push(...(await part()));
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
  if (readdirSync(kept).length === 0) rmSync(kept, { recursive: true });
}
for (const tally of tallies) for (const loss of tally.lost) say(`LOST  ${tally.category}: ${loss}`);
say(`\nFaults of seed ${seed}:`);
for (const tally of tallies) say(`${tally}`);
if (tallies.some(({ lost }) => lost.length > 0)) process.exitCode = 1;
