import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Tally } from "./tally.js";

const bin = fileURLToPath(new URL("../../../packages/peekaboo/bin/peekaboo.js", import.meta.url));
const conformance = fileURLToPath(new URL("../../conformance/dist/cli.js", import.meta.url));

/** Far more than any of these commands takes: what is still there then would be there for ever. */
const SECONDS = 120;
/** Characters of the longest sentence. */
const LONGEST = 3000;
const AT_A_TIME = 2;

/** A command line that must end, and how. */
export interface Trial {
  name: string;
  args: readonly string[];
  env?: Readonly<Record<string, string | undefined>>;
  /** Of the golden cases' own command instead. */
  conformance?: boolean;
  /** 2, unless something else is right too. */
  statuses?: readonly number[];
}

interface Outcome {
  status: number | null;
  stdout: string;
  stderr: string;
}

function outcomeOf({ args, env = {}, conformance: golden = false }: Trial): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [golden ? conformance : bin, ...args], {
      env: { ...process.env, ...env },
      // A pipe that nobody writes to and nobody closes, as `<(sleep 1000)` is.
      stdio: "pipe",
      timeout: SECONDS * 1000,
      killSignal: "SIGKILL",
    });
    const texts = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const) {
      child[name].on("data", (chunk) => (texts[name] = `${texts[name]}${chunk}`.slice(0, 10_000_000)));
    }
    child.on("close", (status) => resolve({ status, ...texts }));
  });
}

/** What is wrong with how a command ended, if anything is. */
function faultOf(
  { statuses = [2], conformance: golden = false }: Trial,
  { status, stdout, stderr }: Outcome,
): string | undefined {
  const shown = JSON.stringify(stderr.slice(-300));
  if (status === null) return `no end within ${SECONDS} s; ${shown}`;
  if (!statuses.includes(status)) return `exit status ${status}; ${shown}`;
  const unsafe = /(?!\n)[\p{C}\p{Zl}\p{Zp}]/u.exec(stdout + stderr);
  if (unsafe !== null) return `${JSON.stringify(unsafe[0])} on the terminal; ${shown}`;
  if (status === 0) return undefined;
  // A case that fails is told in the table.
  if (golden && status === 1)
    return stdout.length > LONGEST || !/^FAIL /m.test(stdout) ? `no verdict: ${shown}` : undefined;
  const [line = "", ...more] = stderr.trimEnd().split("\n").slice(-1);
  if (!/^[^:]+: .*[.?]$/.test(line) || more.length > 0 || /^ {4}at /m.test(stderr)) return `no sentence: ${shown}`;
  return line.length > LONGEST ? `a sentence of ${line.length} characters` : undefined;
}

/** Runs every trial, a few at a time, and counts those that ended wrongly. */
export async function tryAll(tally: Tally, trials: readonly Trial[]): Promise<void> {
  const left = [...trials];
  const lane = async (): Promise<void> => {
    for (let trial = left.shift(); trial !== undefined; trial = left.shift()) {
      const fault = faultOf(trial, await outcomeOf(trial));
      tally.count(fault === undefined ? undefined : `${trial.name}: ${fault}`);
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, lane));
}

/** One trial in `every`, from one that the seed chooses on. */
export function some<T>(trials: readonly T[], quick: boolean, every: number, seed: number): T[] {
  return quick ? trials.filter((_, i) => (i + seed) % every === 0) : [...trials];
}
