import { spawnSync } from "node:child_process";
import { type Faults, Tally } from "./tally.js";
import { lastWords, train } from "./training.js";

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
  const big = ["--width", "1", "--train-limit", `${BATCH}`, "--pruner", "Rand", "--epochs", "1", "--max-steps", "1"];
  for (const limit of LIMITS.slice(0, quick ? QUICK : undefined)) {
    const under = ["bash", "-c", `ulimit -v ${limit} && exec "$@"`, "bash"];
    const start = (name: string, batch: string) => train(folder, name, { under, args: [...big, "--bs", batch] }).ended;
    const { code, stderr } = await start(`memory-${limit}`, `${BATCH}`);
    const fitting = /give --bs (\d+), which fits/.exec(stderr)?.[1];
    let failure = code === 2 && fitting !== undefined ? undefined : `ended with ${code}: ${lastWords(stderr)}`;
    if (fitting !== undefined) {
      const second = await start(`memory-${limit}-fitting`, fitting);
      failure ??=
        second.code === 0 ? undefined : `--bs ${fitting} ended with ${second.code}: ${lastWords(second.stderr)}`;
    }
    tally.count(failure && `${limit} kB: ${failure}`);
  }
  say(`${tally}`);
  return [tally];
}
