import { spawn } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type Faults, Tally } from "./tally.js";
import { targets } from "./targets.js";

const child = fileURLToPath(new URL("fuzz-child.js", import.meta.url));
/** Milliseconds after which an input counts as a hang. */
const HANG = 5000;
/** Milliseconds for the process to start and make its seeds. */
const START = 60_000;
/** Inputs of a target whose share is 1. */
const INPUTS = { quick: 150, whole: 1800 };

/** Feeds every parser mutated inputs, one process at a time. */
export async function fuzz(faults: Faults, checkpoints: readonly string[]): Promise<Tally[]> {
  const tallies: Tally[] = [];
  for (const { name, share } of targets(checkpoints)) {
    const tally = new Tally(`fuzz ${name}`);
    const inputs = Math.round(share * (faults.quick ? INPUTS.quick : INPUTS.whole));
    for (let from = 0; from < inputs; ) from = await feed(faults, tally, name, from, inputs, checkpoints);
    tally.note = `seed ${faults.seed}, inputs 0…${inputs - 1}`;
    tallies.push(tally);
    faults.say(`${tally}`);
  }
  return tallies;
}

/** Feeds the inputs from `from` on until all are taken, or one ended the process; returns the next one. */
async function feed(
  { seed, folder, kept }: Faults,
  tally: Tally,
  name: string,
  from: number,
  to: number,
  checkpoints: readonly string[],
): Promise<number> {
  const status = join(folder, "fuzz-status");
  const args = [child, name, `${seed}`, `${from}`, `${to}`, status, join(folder, "fuzz-input"), kept, ...checkpoints];
  const started = Date.now();
  const running = spawn(process.execPath, ["--max-old-space-size=512", ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let out = "";
  let err = "";
  running.stdout.on("data", (chunk) => (out += chunk));
  running.stderr.on("data", (chunk) => (err = `${err}${chunk}`.slice(-600)));
  let ended: { code: number | null; signal: NodeJS.Signals | null } | undefined;
  running.on("close", (code, signal) => {
    ended = { code, signal };
  });
  let hung = false;
  while (ended === undefined) {
    await sleep(100);
    const touched = statSync(status, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    const limit = touched > started ? touched + HANG : started + START;
    if (ended === undefined && Date.now() > limit) {
      hung = true;
      running.kill("SIGKILL");
    }
  }
  const reports = out.split("\n").filter((line) => line !== "");
  for (const line of reports) {
    const { index, wrong, path }: { index: number; wrong: string; path: string } = JSON.parse(line);
    tally.lost.push(`input ${index} (${path}): ${wrong}`);
  }
  const last = Number.parseInt(readFileSync(status, "utf8"), 10);
  if (Number.isNaN(last)) throw new Error(`fuzz ${name}: the process ended before the first input: ${err}`);
  if (!hung && ended.code === 0) {
    // It stops early after many faults; the rest is not tried.
    tally.tried += last + 1 - from;
    return to;
  }
  tally.tried += last + 1 - from;
  tally.lost.push(
    `input ${last}: ${hung ? `no end within ${HANG} ms` : `the process ended (${ended.code ?? ended.signal}): ${err}`}`,
  );
  return last + 1;
}
