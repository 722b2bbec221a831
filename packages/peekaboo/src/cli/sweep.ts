import { printable, UserError } from "@peekaboo/files/errors";
import type { Command } from "commander";
import { namedOptions } from "../config/given.js";
import { integer } from "../config/kinds.js";
import { listsOf, withLists } from "../config/lists.js";
import { trainHelp, trainOptions } from "../config/options.js";
import { isOption, option, type Table, valuesFromFlags } from "../config/table.js";
import { EXIT } from "../console/exit.js";
import { formatCount, formatDuration } from "../console/format.js";
import { Interrupted, InterruptGuard } from "../console/interrupt.js";
import type { Io } from "../console/io.js";
import { createProgress, type Progress } from "../console/progress.js";
import { type Axes, isForStudies, type PlannedRun, planStudy, type Study } from "../studies/study.js";
import type { SweepListener } from "../studies/sweep.js";
import { addFlags, givenFlags } from "./flags.js";
import { inWords } from "./in-words.js";
import { loadOwn, subcommand } from "./subcommand.js";

const own = {
  parallel: option({
    flags: "--parallel <n>",
    kind: integer(1, 256),
    default: 1,
    help: "Runs at a time; each gets its part of the processors, unless --threads says how many.",
  }),
  savedir: {
    ...trainOptions.savedir,
    defaultText: "results/NAME",
    help: "The study's folder, which gets a folder for each run, and the results.",
  },
};

const NOTES = `
Of each flag above, several values may be given with commas between (--seed also as 0..2): every combination is run. With a
STUDY, they take the place of what it says. --threads says how many threads each run has.

Started again, a sweep goes on: runs that are done stay as they are, begun ones go on, and failed ones are tried again.
Exit status: 0 all runs are done; 1 some failed, which the end tells; 2 a mistake in what was given.

Examples:
  $ peekaboo sweep studies/small/pruners.json --parallel 2
  $ peekaboo sweep --arch PsgResNet18 --width 0.25 --optimizer BOP --prune-ratio 0.01,0.05,0.1,0.3 \\
      --pruner SynFlow,SNIP,Rand --seed 0..2 --epochs 2 --savedir results/pruners
  $ peekaboo report results/pruners
`;

/** Adds `peekaboo sweep [STUDY]`; `exit` gets the exit status. */
export function addSweep(program: Command, io: Io, exit: (status: number) => void): void {
  const command = subcommand(program, "sweep [study]", "Train the runs of a study, and compare them");
  addFlags(command, own, "Sweep");
  const tables = Object.values(trainHelp).map((table) => withLists(forStudies(table)));
  for (const [i, heading] of Object.keys(trainHelp).entries()) addFlags(command, tables[i] ?? {}, heading);
  command.addHelpText("after", NOTES);
  command.action(async (path: string | undefined) => {
    const { parallel, savedir } = valuesFromFlags(own, givenFlags(command, own));
    const axes = listsOf(new Map(tables.flatMap((table) => [...givenFlags(command, table)])));
    const study = await plan(path, axes);
    // Each run's process loads its own; the results count what a network computes.
    for (const arch of new Set(study.runs.map(({ config }) => config.arch))) await loadOwn(arch);
    const folder = givenFlags(command, own).has(own.savedir) ? savedir : `results/${study.name}`;
    exit(await run(study, folder, parallel, io));
  });
}

/** The settings of a group that a study may vary. */
function forStudies(table: Table): Table {
  const known = new Set(namedOptions.filter(({ path }) => isForStudies(path)).map((one) => one.option));
  return Object.fromEntries(Object.entries(table).filter(([, entry]) => !isOption(entry) || known.has(entry)));
}

async function plan(path: string | undefined, axes: Axes): Promise<Study> {
  if (path !== undefined) {
    const { loadStudy } = await import("../studies/load-study.js");
    return planStudy(path, await loadStudy(path), axes);
  }
  if (axes.size > 0) return planStudy("the flags", { name: "sweep", about: "", base: {}, runs: [{}], grid: {} }, axes);
  throw new UserError({
    operation: "sweep",
    argument: "what to run",
    expected: "a STUDY, or flags with several values",
    received: "neither",
    remedy: "give e.g. --prune-ratio 0.1,0.3 --seed 0..2",
  });
}

/** Sweeps, writes the results and tells them; returns the exit status. */
async function run(study: Study, folder: string, parallel: number, io: Io): Promise<number> {
  const { sweep } = await import("../studies/sweep.js");
  using guard = new InterruptGuard();
  using listener = new SweepTeller(io);
  let failures: ReadonlyMap<PlannedRun, string>;
  try {
    failures = await sweep(study, folder, { parallel, guard, listener });
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
    listener.say(`Stopped by ${error.signal}: ${error.message}; the same command goes on.`);
    return error.exitStatus;
  }
  listener[Symbol.dispose]();
  const { reportStudies } = await import("../studies/report.js");
  const { lines } = reportStudies([folder], folder);
  io.stdout.write(`${lines.join("\n")}\n`);
  for (const [{ name }, failure] of failures) io.stderr.write(`${name} failed: ${inWords(failure)}\n`);
  return failures.size === 0 ? EXIT.ok : EXIT.lost;
}

/** Tells a sweep to a person: a bar of the whole, and a line for each run that ends. */
class SweepTeller implements SweepListener, Disposable {
  readonly #io: Io;
  #bar: Progress | null = null;
  #of = 0;

  constructor(io: Io) {
    this.#io = io;
  }

  begin({ total, done, over, runs, threads, unit }: Parameters<SweepListener["begin"]>[0]): void {
    this.#of = runs;
    const each = `${formatCount(threads)} ${threads === 1 ? "thread" : "threads"} a run`;
    this.say(`${formatCount(runs)} ${runs === 1 ? "run" : "runs"}, ${formatCount(over)} of them done; ${each}.`);
    this.#bar = createProgress({ total, start: done, title: "sweep", unit, stream: this.#io.stderr });
  }

  advance(done: number, runs: number): void {
    this.#bar?.update(done, { runs: `${formatCount(runs)} of ${formatCount(this.#of)}` });
  }

  ended({ name }: PlannedRun, { seconds, failure, over }: Parameters<SweepListener["ended"]>[1]): void {
    const how = failure === null ? `done in ${formatDuration(seconds)}` : `failed: ${inWords(failure)}`;
    this.say(`${printable(name)}: ${how} (${formatCount(over)} of ${formatCount(this.#of)} runs)`);
  }

  say(line: string): void {
    if (this.#bar === null) this.#io.stderr.write(`${line}\n`);
    else this.#bar.log(line);
  }

  [Symbol.dispose](): void {
    this.#bar?.stop();
    this.#bar = null;
  }
}
