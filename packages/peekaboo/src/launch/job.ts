import { setTimeout as sleep } from "node:timers/promises";
import type { UserSignal } from "../console/signals.js";
import { type Environment, environmentFor } from "./environment.js";
import type { SpawnPlan } from "./plan.js";
import { type Ending, RankProcess } from "./rank-process.js";
import { isFailure, type Outcome, outcomeOf } from "./verdict.js";

export interface Graces {
  /** After a failure, how long the other ranks have to notice it by themselves, and then to follow SIGTERM. */
  readonly noticeMs: number;
  readonly stopMs: number;
  /** How long the ranks have to end once the user asked for it, or once the first of them has come to its end. */
  readonly saveMs: number;
}

export interface JobOptions {
  plan: SpawnPlan;
  /** Where rank 0 listens. */
  host: string;
  port: number;
  /** What they show to the store, if it is not in the environment. */
  token: string | undefined;
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
  readonly #killed = new Set<number>();
  /** Those that stayed when another had come to its end. */
  readonly #late: number[] = [];
  readonly #over = new AbortController();
  #signal: UserSignal | null = null;
  #forced = false;
  #stopping = false;
  #ending = false;
  #stopped = false;

  constructor(options: JobOptions) {
    this.#graces = options.graces;
    this.#processes = startAll(options);
    this.#running = new Set(this.#processes);
    this.outcome = this.#run();
  }

  /** Passes the user's signal on to every rank; a second one kills them, and so does the time that they have to save. */
  forward(signal: UserSignal): void {
    this.#forced = this.#signal !== null;
    this.#stopped ||= this.#forced;
    this.#signal ??= signal;
    for (const process of this.#running) process.kill(this.#forced ? "SIGKILL" : signal);
    if (!this.#forced) void this.#killLate();
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
    const [own, killed, late] = [this.#own, [...this.#killed], this.#late];
    return outcomeOf({ own, killed, late, signal: this.#signal, forced: this.#forced });
  }

  #note(process: RankProcess, ending: Ending): void {
    this.#running.delete(process);
    if (!this.#stopped) this.#own.push(ending);
    if (this.#stopping) return;
    if (isFailure(ending, this.#signal)) {
      this.#stopping = true;
      void this.#stopOthers(this.#graces.noticeMs);
    } else if (!this.#ending) {
      this.#ending = true;
      void this.#endOthers();
    }
  }

  /** Once one rank has come to its end: the others follow, or are stopped. */
  async #endOthers(): Promise<void> {
    if (!(await this.#stillRunningAfter(this.#graces.saveMs)) || this.#stopping) return;
    this.#stopping = true;
    this.#late.push(...Array.from(this.#running, ({ rank }) => rank));
    await this.#stopOthers(0);
  }

  async #stopOthers(noticeMs: number): Promise<void> {
    if (!(await this.#stillRunningAfter(noticeMs))) return;
    this.#stopped = true;
    for (const process of this.#running) process.kill("SIGTERM");
    if (await this.#stillRunningAfter(this.#graces.stopMs)) this.#killAll();
  }

  async #killLate(): Promise<void> {
    if (await this.#stillRunningAfter(this.#graces.saveMs)) this.#killAll();
  }

  #killAll(): void {
    this.#stopped = true;
    for (const process of this.#running) {
      this.#killed.add(process.rank);
      process.kill("SIGKILL");
    }
  }

  async #stillRunningAfter(milliseconds: number): Promise<boolean> {
    const { signal } = this.#over;
    return sleep(milliseconds, true, { signal }).catch(() => false);
  }
}

/** Machine 0's first process has rank 0 and the terminal. */
function startAll({ plan, host, port, token, command, env, onLine }: JobOptions): RankProcess[] {
  const worldSize = plan.machines * plan.processes;
  return Array.from({ length: plan.processes }, (_, localRank) => {
    const rank = plan.machine * plan.processes + localRank;
    const place = { rank, worldSize, localRank, localSize: plan.processes, host, port, token };
    return new RankProcess({
      rank,
      command,
      env: environmentFor(place, env),
      inheritsOutput: rank === 0,
      onLine: (line) => onLine(`[rank ${rank}] ${line}`),
    });
  });
}
