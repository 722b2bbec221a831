import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { EXIT } from "../console/exit.js";
import type { Io } from "../console/io.js";
import { isUrgent, onUserSignals, statusOf, type UserSignal } from "../console/signals.js";
import type { Environment } from "./environment.js";
import { freePort } from "./free-port.js";
import { type Graces, Job } from "./job.js";
import type { SpawnPlan } from "./plan.js";
import type { Outcome } from "./verdict.js";

/**
 * A rank that meets a failure asks the others for three seconds who else did. After the last step, and after a signal, rank 0
 * writes and verifies a checkpoint: of 400 MB, on a disk that takes 5 MB a second, that is 80 seconds.
 */
const GRACES: Graces = { noticeMs: 10_000, stopMs: 10_000, saveMs: 120_000 };
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;

export interface SupervisorOptions {
  plan: SpawnPlan;
  /** Program and arguments of each process. */
  command: readonly string[];
  /** The same after a failure, and where training goes on from: "the last checkpoint". */
  restart(): { command: readonly string[]; from: string };
  io: Io;
  env?: Environment;
  graces?: Partial<Graces>;
  firstPauseMs?: number;
}

/**
 * Starts the processes of a plan, and again after a failure as often as it allows, and waits until none is left.
 *
 * @returns the exit status: 0, 129, 130 and 143 when they followed SIGHUP, SIGINT and SIGTERM, 2 when one met a mistake of
 *   the user's, and 1 when one was lost
 */
export async function supervise(options: SupervisorOptions): Promise<number> {
  using signals = new Signals();
  const { plan, io, restart, firstPauseMs = FIRST_PAUSE_MS } = options;
  const say = (text: string) => io.stderr.write(`train: ${text}\n`);
  let { command } = options;
  for (let restarts = 0; ; restarts++) {
    const outcome = await runJob({ ...options, command }, signals);
    if (outcome.kind === "done") return EXIT.ok;
    if (outcome.kind === "interrupted") {
      if (outcome.clause !== undefined) say(`${outcome.clause}.`);
      return outcome.status;
    }
    if (outcome.mistake || restarts === plan.maxRestarts || signals.received !== null) {
      const others = plan.processes > 1 ? "; no process of this machine is left" : "";
      say(`${outcome.clause}${others}.`);
      return outcome.mistake ? EXIT.usage : EXIT.lost;
    }
    const next = restart();
    command = next.command;
    say(`${outcome.clause}; starting all ranks again from ${next.from} (${restarts + 1} of ${plan.maxRestarts}).`);
    await signals.within(Math.min(firstPauseMs * 2 ** restarts, LONGEST_PAUSE_MS));
    if (signals.received !== null) return statusOf(signals.received);
  }
}

async function runJob(
  { plan, command, io, env = process.env, graces = {} }: SupervisorOptions,
  signals: Signals,
): Promise<Outcome> {
  const { host, port } = plan.address ?? { host: "127.0.0.1", port: await freePort() };
  // Ranks of this machine alone let in nobody who was not given this.
  const token = plan.machines === 1 ? randomBytes(16).toString("hex") : undefined;
  const shown = new Set<string>();
  const job = new Job({
    ...{ plan, host, port, token, command, env, graces: { ...GRACES, ...graces } },
    onLine(line) {
      // What every rank has to say is said once.
      const text = line.replace(/^\[rank \d+\] /, "");
      if (shown.has(text)) return;
      shown.add(text);
      io.stderr.write(`${line}\n`);
    },
  });
  signals.onSignal = (signal) => job.forward(signal);
  if (signals.received !== null) job.forward(signals.received);
  using _terminal = passOnTerminal(job);
  try {
    return await job.outcome;
  } finally {
    signals.onSignal = () => {};
  }
}

/** Passes on to the ranks, which are in sessions of their own, what a terminal does to this process besides. */
function passOnTerminal(job: Job): Disposable {
  const resize = () => job.resize();
  const suspend = () => {
    job.pause("SIGSTOP");
    process.kill(process.pid, "SIGSTOP");
  };
  const resume = () => job.pause("SIGCONT");
  process.on("SIGWINCH", resize).on("SIGTSTP", suspend).on("SIGCONT", resume);
  return {
    [Symbol.dispose]: () => process.off("SIGWINCH", resize).off("SIGTSTP", suspend).off("SIGCONT", resume),
  };
}

/** SIGHUP, SIGINT and SIGTERM, which do not end this process meanwhile. */
class Signals {
  received: UserSignal | null = null;
  onSignal: (signal: UserSignal) => void = () => {};
  readonly #arrived = new AbortController();
  #first = 0;
  readonly #handling = onUserSignals((signal) => {
    const now = performance.now();
    if (this.received !== null && !isUrgent(signal, now - this.#first)) return;
    if (this.received === null) this.#first = now;
    this.received ??= signal;
    this.#arrived.abort();
    this.onSignal(signal);
  });

  /** Waits, but not once a signal has come. */
  async within(milliseconds: number): Promise<void> {
    await sleep(milliseconds, undefined, { signal: this.#arrived.signal }).catch(() => {});
  }

  [Symbol.dispose](): void {
    this.#handling[Symbol.dispose]();
  }
}
