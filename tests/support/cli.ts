import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

/** The command line's program, which runs what was built last. */
export const bin = fileURLToPath(new URL("../../packages/peekaboo/bin/peekaboo.js", import.meta.url));

/** Where a command runs, and what its environment has beside the test's own. */
export interface Surroundings {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** How a command ended: its status is null when it was killed. */
export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the real command line to its end; one that takes more than five minutes is killed. */
export function peekaboo(...args: readonly string[]): Ended {
  return peekabooIn({}, ...args);
}

/** {@link peekaboo} in another folder or environment. */
export function peekabooIn({ cwd, env }: Surroundings, ...args: readonly string[]): Ended {
  const { status, stdout, stderr } = spawnSync(process.execPath, [bin, ...args], {
    ...(cwd !== undefined && { cwd }),
    encoding: "utf8",
    timeout: 300_000,
    killSignal: "SIGKILL",
    env: { ...process.env, ...env },
  });
  return { status, stdout, stderr };
}
