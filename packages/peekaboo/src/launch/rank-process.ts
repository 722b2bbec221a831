import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Environment } from "./environment.js";

/** How long to read what a process wrote before it ended. */
const DRAIN_MS = 1_000;

/** How a rank's process ended; `error` where it could not be started. */
export interface Ending {
  readonly rank: number;
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly error?: string;
}

export interface RankProcessOptions {
  rank: number;
  /** Program and arguments. */
  command: readonly string[];
  env: Environment;
  /** Whether it writes where this process does; else its stdout is dropped. */
  inheritsOutput: boolean;
  /** Gets each line of stderr otherwise. */
  onLine(line: string): void;
}

/** The process of one rank, or of a run that trains by itself. It leads a session of its own: a terminal's Ctrl-C reaches it through its supervisor alone. */
export class RankProcess {
  readonly rank: number;
  readonly ended: Promise<Ending>;
  readonly #child: ChildProcess;

  constructor({ rank, command, env, inheritsOutput, onLine }: RankProcessOptions) {
    const [program = "", ...args] = command;
    const output = inheritsOutput ? (["inherit", "inherit"] as const) : (["ignore", "pipe"] as const);
    this.rank = rank;
    // The last is the lifeline, at LIFELINE_FD.
    this.#child = spawn(program, args, { env, detached: true, stdio: ["ignore", ...output, "pipe"] });
    const { stderr } = this.#child;
    const drained = stderr === null ? Promise.resolve() : linesOf(stderr, onLine);
    this.ended = this.#end().then(async (ending) => {
      await Promise.race([drained, new Promise((resolve) => setTimeout(resolve, DRAIN_MS).unref())]);
      return ending;
    });
  }

  /** Sends a signal, unless it has ended. */
  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  #end(): Promise<Ending> {
    const { rank } = this;
    return new Promise((resolve) => {
      this.#child.once("exit", (status, signal) => resolve({ rank, status, signal }));
      this.#child.once("error", (error) => resolve({ rank, status: null, signal: null, error: error.message }));
      this.#child.stdio[3]?.on("error", () => {});
    });
  }
}

function linesOf(stream: NodeJS.ReadableStream, onLine: (line: string) => void): Promise<void> {
  const lines = createInterface({ input: stream }).on("line", onLine);
  return new Promise((resolve) => lines.once("close", resolve));
}
