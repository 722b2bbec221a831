import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type CgroupFolder, cgroupFolders } from "@peekaboo/torch/cgroups";
import { cores } from "@peekaboo/torch/cores";
import { batchTooLarge } from "./memory.js";
import { type Faults, Tally } from "./tally.js";
import { lastWords, RUN, train } from "./training.js";

/** Bytes of memory: enough to start, too little for the batch. */
const LIMITS = [1_000_000_000, 1_500_000_000, 2_500_000_000];
/** Quotas of CPU time in processors, each of which leaves one thread. */
const QUOTAS = [1, 0.5, 1.5];
const PERIOD = 100_000;
const QUICK = 1;

/** A limit as the two versions write it: the files and what goes into them. */
type Limit = (version: 1 | 2) => Readonly<Record<string, string>>;

const cpu =
  (processors: number): Limit =>
  (version) =>
    version === 2
      ? { "cpu.max": `${processors * PERIOD} ${PERIOD}` }
      : { "cpu.cfs_period_us": `${PERIOD}`, "cpu.cfs_quota_us": `${processors * PERIOD}` };

const memory =
  (bytes: number): Limit =>
  (version) => ({ [version === 2 ? "memory.max" : "memory.limit_in_bytes"]: `${bytes}` });

/** Trainings in cgroups of their own: as many threads as the quota leaves, no tensor beyond the memory. Needs root. */
export async function containers({ folder, quick, say }: Faults): Promise<Tally[]> {
  const quotas = new Tally("CPU quota of a cgroup");
  for (const quota of QUOTAS.slice(0, quick ? QUICK : undefined)) {
    await within("cpu", cpu(quota), quotas, (under) => threadsOf(folder, `quota-${quota}`, under));
  }
  const limits = new Tally("memory of a cgroup");
  for (const limit of LIMITS.slice(0, quick ? QUICK : undefined)) {
    await within("memory", memory(limit), limits, (under) => batchTooLarge(folder, `cgroup-${limit}`, { under }));
  }
  const tallies = [quotas, limits];
  for (const tally of tallies) say(`${tally}`);
  return tallies;
}

/** What differs from one thread in a run that isn't told how many; undefined when nothing does. */
async function threadsOf(folder: string, name: string, under: readonly string[]): Promise<string | undefined> {
  const at = RUN.indexOf("--threads");
  const run = RUN.filter((_, i) => i !== at && i !== at + 1);
  const { code, signal, stderr } = await train(folder, name, { run, under, args: ["--max-steps", "2"] }).ended;
  if (code !== 0) return `ended with ${code ?? signal}: ${lastWords(stderr)}`;
  const { environment } = JSON.parse(readFileSync(join(folder, name, "config.json"), "utf8")) as {
    environment: { threads: number; threadsFrom: string };
  };
  const found = `${environment.threads}: ${environment.threadsFrom}`;
  const wanted = cores().count === 1 ? found : "1: the CPU quota of its cgroup";
  if (found !== wanted) return `${found} instead of ${wanted}`;
  return stderr.includes(`1 thread: ${environment.threadsFrom}.`) ? undefined : "the run doesn't say so";
}

/** Counts what `body` says of a cgroup with a limit, which it enters by the command that it gets; skips what can't be made. */
async function within(
  controller: string,
  limit: Limit,
  tally: Tally,
  body: (under: readonly string[]) => Promise<string | undefined>,
): Promise<void> {
  const made = makeCgroup(controller, limit);
  if (typeof made === "string") {
    tally.skipped = made;
    return;
  }
  try {
    const enter = 'echo $$ > "$0/cgroup.procs" && exec "$@"';
    const failure = await body(["bash", "-c", enter, made.folder]);
    tally.count(failure && `${JSON.stringify(limit(made.version))}: ${failure}`);
  } finally {
    rmdirSync(made.folder);
  }
}

/** A cgroup below this process's own, or below the nearest of its parents that may have one; else why there is none. */
function makeCgroup(controller: string, limit: Limit): CgroupFolder | string {
  let why = `no cgroup of ${controller} is mounted here`;
  for (const { folder: parent, version } of cgroupFolders(controller, read)) {
    const folder = join(parent, `peekaboo-faults-${process.pid}`);
    try {
      mkdirSync(folder);
    } catch (error) {
      why = `no cgroup can be made: ${(error as Error).message}`;
      continue;
    }
    try {
      for (const [name, text] of Object.entries(limit(version)))
        writeFileSync(join(folder, name), text, { flag: "r+" });
      return { folder, version };
    } catch (error) {
      why = `no limit can be set: ${(error as Error).message}`;
      rmdirSync(folder);
    }
  }
  return why;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
