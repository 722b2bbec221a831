import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { it as inFolder } from "./folder.js";

const PEEKABOO = new URL("../../packages/peekaboo/dist/", import.meta.url).href;
const TORCH = new URL("../../packages/torch/dist/index.js", import.meta.url).href;
const ROOT = fileURLToPath(new URL("../..", import.meta.url));

export interface SupervisorRun {
  /** What each rank does once it is in the group; finds `group`, `io`, `torch`'s exports, `folder` and helpers. */
  body: string;
  folder: string;
  processes?: number;
  machine?: number;
  machines?: number;
  address?: { host: string; port: number } | null;
  maxRestarts?: number;
  /** Seconds. */
  timeout?: number;
  startTimeout?: number;
  /** Milliseconds that ranks have to end once one has, or a signal has come. */
  saveMs?: number;
  env?: Record<string, string>;
  /** What runs node, such as `ip netns exec NAME`. */
  through?: readonly string[];
}

/** A process that supervises ranks of a small body in the trainer's place; all else is the command line's own. */
export class Supervisor {
  readonly child: ChildProcess;
  readonly ended: Promise<{ status: number | null; signal: NodeJS.Signals | null; stdout: string; stderr: string }>;
  #stdout = "";
  #stderr = "";

  constructor({ env = {}, through = [], ...run }: SupervisorRun) {
    const [program = "", ...args] = [...through, process.execPath, "--input-type=module", "-e", supervisorScript(run)];
    this.child = spawn(program, args, {
      cwd: ROOT,
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.child.stdout?.on("data", (bytes) => {
      this.#stdout += bytes;
    });
    this.child.stderr?.on("data", (bytes) => {
      this.#stderr += bytes;
    });
    this.ended = new Promise((resolve) => {
      this.child.once("exit", async (status, signal) => {
        // The ranks may hold the pipe a little longer.
        await new Promise((read) => setTimeout(read, 100));
        resolve({ status, signal, stdout: this.#stdout, stderr: this.#stderr });
      });
    });
  }

  get stderr(): string {
    return this.#stderr;
  }
}

/** `it` with a folder, and with `start` for a Supervisor in it, which is killed at the end of the test if it still runs. */
export const it = inFolder.extend(
  "start",
  ({ folder, onTestFinished }) =>
    (body: string, options: Partial<SupervisorRun> = {}) => {
      const supervisor = new Supervisor({ body, folder, ...options });
      onTestFinished(async () => {
        if (supervisor.child.exitCode === null) supervisor.child.kill("SIGKILL");
        await supervisor.ended;
      });
      return supervisor;
    },
);

function supervisorScript(run: Omit<SupervisorRun, "env" | "through">): string {
  const { processes = 2, machine = 0, machines = 1, address = null, maxRestarts = 0, saveMs = 60_000 } = run;
  const plan = { kind: "spawn", processes, machine, machines, address, maxRestarts };
  const command = [process.execPath, "--input-type=module", "-e", rankScript(run)];
  return `
    import { supervise } from ${JSON.stringify(`${PEEKABOO}launch/supervisor.js`)};
    const command = ${JSON.stringify(command)};
    process.exitCode = await supervise({
      plan: ${JSON.stringify(plan)}, command, io: process, firstPauseMs: 10,
      graces: { noticeMs: 5000, stopMs: 500, saveMs: ${saveMs} },
      restart: () => ({ command, from: "the last checkpoint" }),
    });`;
}

function rankScript({ body, folder, timeout = 60, startTimeout = 60 }: SupervisorRun): string {
  return `
    import { existsSync, writeFileSync } from "node:fs";
    import * as torch from ${JSON.stringify(TORCH)};
    import { parseConfig } from ${JSON.stringify(`${PEEKABOO}config/config.js`)};
    import { launch } from ${JSON.stringify(`${PEEKABOO}launch/start.js`)};
    import { reportFailure } from ${JSON.stringify(`${PEEKABOO}cli/usage.js`)};
    import { InterruptGuard } from ${JSON.stringify(`${PEEKABOO}console/interrupt.js`)};
    const { Tensor, UserError } = torch;
    const folder = ${JSON.stringify(folder)};
    const rank = Number(process.env.RANK);
    const note = (name, text = "") => writeFileSync(folder + "/" + name + "-" + rank, String(text));
    const forever = () => new Promise(() => setInterval(() => {}, 1000));
    const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    note("pid", process.pid);
    const config = parseConfig({ distributed: ${JSON.stringify({ timeout, startTimeout })} });
    const run = async (config, io, group) => { ${body} };
    try { process.exitCode = (await launch(config, [], process, run)) ?? 0; }
    catch (error) { process.exitCode = reportFailure(error, process); }`;
}

/** Waits for a file that a rank writes, and gives its text. */
export async function noted(folder: string, name: string): Promise<string> {
  const path = `${folder}/${name}`;
  await until(() => existsSync(path) && readFileSync(path, "utf8") !== "");
  return readFileSync(path, "utf8");
}

export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 20));
}

/** Whether a process is there, and not only waiting to be reaped. */
export function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}
