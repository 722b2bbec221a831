import { setTimeout as sleep } from "node:timers/promises";
import type { UserSignal } from "../signals.js";
import { type Environment, environmentFor } from "./environment.js";
import type { SpawnPlan } from "./plan.js";
import { type Ending, RankProcess } from "./rank-process.js";
import { isFailure, type Outcome, outcomeOf } from "./verdict.js";

/** After a failure, how long the other ranks have to notice it by themselves, and then to follow SIGTERM. */
export interface Graces {
  readonly noticeMs: number;
  readonly stopMs: number;
}

export interface JobOptions {
  plan: SpawnPlan;
  /** Where rank 0 listens. */
  host: string;
  port: number;
  /** Program and arguments of each process. */
  command: readonly string[];
  env: Environment;
  graces: Graces;
  /** Gets what the ranks whose output nobody sees write to stderr. */
  onLine(line: string): void;
}

/** One start of all of this machine's ranks. */
export class Job {
  /** Settles when no process is left. */
  readonly outcome: Promise<Outcome>;
  readonly #processes: readonly RankProcess[];
  readonly #graces: Graces;
  readonly #own: Ending[] = [];
  readonly #running: Set<RankProcess>;
  readonly #killed: number[] = [];
  readonly #over = new AbortController();
  #signal: UserSignal | null = null;
  #forced = false;
  #stopping = false;
  #stopped = false;

  constructor(options: JobOptions) {
    this.#graces = options.graces;
    this.#processes = startAll(options);
    this.#running = new Set(this.#processes);
    this.outcome = this.#run();
  }

  /** Passes the user's signal on to every rank; a second one kills them. */
  forward(signal: UserSignal): void {
    this.#forced = this.#signal !== null;
    this.#stopped ||= this.#forced;
    this.#signal ??= signal;
    for (const process of this.#running) process.kill(this.#forced ? "SIGKILL" : signal);
  }

  /** Tells rank 0, which the terminal does not, that the terminal's size has changed. */
  resize(): void {
    for (const process of this.#running) if (process.rank === 0) process.kill("SIGWINCH");
  }

  /** Stops every rank, as the terminal stops this process, and lets it go on. */
  pause(signal: "SIGSTOP" | "SIGCONT"): void {
    for (const process of this.#running) process.kill(signal);
  }

  async #run(): Promise<Outcome> {
    await Promise.all(this.#processes.map(async (process) => this.#note(process, await process.ended)));
    this.#over.abort();
    return outcomeOf({ own: this.#own, killed: this.#killed, signal: this.#signal, forced: this.#forced });
  }

  #note(process: RankProcess, ending: Ending): void {
    this.#running.delete(process);
    if (!this.#stopped) this.#own.push(ending);
    if (!isFailure(ending, this.#signal) || this.#stopping) return;
    this.#stopping = true;
    void this.#stopOthers();
  }

  async #stopOthers(): Promise<void> {
    if (!(await this.#stillRunningAfter(this.#graces.noticeMs))) return;
    this.#stopped = true;
    for (const process of this.#running) process.kill("SIGTERM");
    if (!(await this.#stillRunningAfter(this.#graces.stopMs))) return;
    for (const process of this.#running) {
      this.#killed.push(process.rank);
      process.kill("SIGKILL");
    }
  }

  async #stillRunningAfter(milliseconds: number): Promise<boolean> {
    const { signal } = this.#over;
    return sleep(milliseconds, true, { signal }).catch(() => false);
  }
}

/** Machine 0's first process has rank 0 and the terminal. */
function startAll({ plan, host, port, command, env, onLine }: JobOptions): RankProcess[] {
  const worldSize = plan.machines * plan.processes;
  return Array.from({ length: plan.processes }, (_, localRank) => {
    const rank = plan.machine * plan.processes + localRank;
    const place = { rank, worldSize, localRank, localSize: plan.processes, host, port };
    return new RankProcess({
      rank,
      command,
      env: environmentFor(place, env),
      inheritsOutput: rank === 0,
      onLine: (line) => onLine(`[rank ${rank}] ${line}`),
    });
  });
}
