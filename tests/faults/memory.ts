import { spawnSync } from "node:child_process";
import { type Faults, Tally } from "./tally.js";
import { lastWords, type StartOptions, train } from "./training.js";

/** Kilobytes of address space: enough to start and to build the network, too little for the batch. */
const LIMITS = [3_000_000, 4_000_000, 2_750_000, 3_500_000, 4_500_000, 5_000_000, 5_500_000];
const QUICK = 2;
const BATCH = 8192;

/** A batch too large for the memory is refused by a sentence that tells one that fits, and that one does fit. */
export async function tooLittleMemory({ folder, quick, say }: Faults): Promise<Tally[]> {
  const tally = new Tally("too little memory");
  if (spawnSync("bash", ["-c", "ulimit -v 8000000"]).status !== 0) {
    tally.skipped = "no bash whose ulimit -v works";
    say(`${tally}`);
    return [tally];
  }
  for (const limit of LIMITS.slice(0, quick ? QUICK : undefined)) {
    const under = ["bash", "-c", `ulimit -v ${limit} && exec "$@"`, "bash"];
    const failure = await batchTooLarge(folder, `memory-${limit}`, { under });
    tally.count(failure && `${limit} kB: ${failure}`);
  }
  say(`${tally}`);
  return [tally];
}

/** What becomes of a step of too many images, and of the batch that is advised instead; undefined when all is well. */
export async function batchTooLarge(folder: string, name: string, options: StartOptions): Promise<string | undefined> {
  const big = ["--width", "1", "--train-limit", `${BATCH}`, "--pruner", "Rand", "--epochs", "1", "--max-steps", "1"];
  const start = (run: string, batch: string) => train(folder, run, { ...options, args: [...big, "--bs", batch] }).ended;
  const { code, signal, stderr } = await start(name, `${BATCH}`);
  const fitting = /give --bs (\d+), which fits/.exec(stderr)?.[1];
  if (code !== 2 || fitting === undefined) return `ended with ${code ?? signal}: ${lastWords(stderr)}`;
  const second = await start(`${name}-fitting`, fitting);
  if (second.code === 0) return undefined;
  return `--bs ${fitting} ended with ${second.code ?? second.signal}: ${lastWords(second.stderr)}`;
}
