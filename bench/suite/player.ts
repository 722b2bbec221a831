import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { getThreads } from "@peekaboo/torch";
import { refuseCollapsed } from "../statistics.js";
import { isOurs, type Way } from "./trained.js";
import type { Workload } from "./workloads.js";

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/**
 * What a user of PyTorch has, in a process of Node's: GNU's OpenMP spins as long as it does by itself, where ours tells it to sleep
 * sooner; and glibc keeps freed memory of up to 32 MB a block, its thresholds where they grow to by themselves in Python. In Node they
 * may not, which costs a dense ResNet20 step a tenth, in pages that the system has to give anew.
 */
const STOCK = {
  GOMP_SPINCOUNT: "300000",
  MALLOC_MMAP_THRESHOLD_: `${2 ** 25}`,
  MALLOC_TRIM_THRESHOLD_: `${2 ** 30}`,
};

/** What a process says of a step: its loss, and the bytes of memory that the process has held at most. */
interface Reply extends StepTime {
  loss: number;
  peak: number;
}

/** Seconds of a step by the clock, and of all threads together, which a busy machine falsifies less. */
export interface StepTime {
  readonly seconds: number;
  readonly processor: number;
}

/** A process that trains one network, a step whenever it is asked. */
export class Player {
  readonly name: string;
  readonly losses: number[] = [];
  peak = Number.NaN;
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(name: string, program: string, args: readonly string[], env: Record<string, string>) {
    this.name = name;
    this.#child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"], env: { ...process.env, ...env } });
    // What it says while nobody asks is there when somebody does.
    this.#lines = createInterface({ input: this.#child.stdout ?? process.stdin })[Symbol.asyncIterator]();
  }

  /** Starts one that trains in a way of {@link Way}; resolves when it is ready, its first step taken. */
  static async start(way: Way, workload: Workload, env: Record<string, string> = {}): Promise<Player> {
    const own = isOurs(way) ? {} : STOCK;
    const args = [here("contestant.js"), way, JSON.stringify(workload)];
    return new Player(way, process.execPath, args, { ...own, ...env }).#ready();
  }

  /** The same in Python. */
  static async startPython(python: string, workload: Workload): Promise<Player> {
    const args = [here("../../python/dense_step.py"), JSON.stringify({ ...workload, threads: getThreads() })];
    return new Player("python", python, args, {}).#ready();
  }

  async #ready(): Promise<this> {
    await this.#reply();
    await this.step();
    return this;
  }

  async #reply(): Promise<Reply> {
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error(`${this.name}: the process has ended`);
    return JSON.parse(value) as Reply;
  }

  /** Has it take a step. */
  async step(): Promise<StepTime> {
    this.#child.stdin?.write("step\n");
    const { loss, peak, ...time } = await this.#reply();
    this.losses.push(loss);
    this.peak = peak;
    refuseCollapsed(this.losses, this.name);
    return time;
  }

  /** Ends the process, and waits for that. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { exitCode, signalCode } = this.#child;
    if (exitCode !== null || signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.stdin?.end();
    await ended;
  }
}

/** A Python that has PyTorch, if there is one. */
export function pythonWithTorch(): string | undefined {
  return ["python3", "/usr/bin/python3"].find((python) => {
    try {
      execFileSync(python, ["-c", "import torch"], { stdio: "ignore" });
      return true;
    } catch {
      return false;
    }
  });
}
