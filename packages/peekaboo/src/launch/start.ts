import { devices, type distributed, useDevice } from "@peekaboo/torch";
import type { Config, TrainConfig } from "../config/config.js";
import type { Io } from "../console/io.js";
import { runFolder } from "../runs/run-folder.js";
import { isLaunched } from "./environment.js";
import { watchSupervisor } from "./lifeline.js";
import { launchPlan, wantsCuda } from "./plan.js";
import { peekabooCommand } from "./program.js";
import { configOfRank, ioOfRank, joinGroup } from "./rank.js";
import { resuming, stampOf } from "./restart.js";
import { supervise } from "./supervisor.js";

/**
 * What each process does: a run, with its own settings and outputs, in a group or alone, as one of `processes` of this machine.
 * Returns its exit status.
 */
export type Run = (
  config: TrainConfig,
  io: Io,
  group: distributed.ProcessGroup | null,
  processes: number,
) => Promise<number>;

/**
 * Does `run` in this process, alone or as one of several, or starts several with the command line `argv` (without node and
 * script), as the settings and the environment ask for. Returns the exit status.
 */
export async function launch(config: TrainConfig, argv: readonly string[], io: Io, run: Run): Promise<number> {
  const { env } = process;
  if (isLaunched(env)) watchSupervisor();
  const cudaDevices = wantsCuda(config) ? devices().filter((name) => name.startsWith("cuda")).length : 0;
  const plan = launchPlan(config, env, cudaDevices);
  if (plan.kind === "single") return run(config, io, null, 1);
  if (plan.kind === "spawn") return supervise({ plan, io, ...commandsOf(config, argv) });
  const own = configOfRank(config, plan, { cudaDevices });
  // Before the ranks meet: NCCL's first barrier is on the device that is in use then.
  if (own.device !== null) useDevice(own.device);
  const group = await joinGroup(plan, env);
  try {
    return await run(own, ioOfRank(plan.rank, io), group, plan.localSize);
  } finally {
    group.destroy();
  }
}

function commandsOf(config: Config<"savedir" | "expName" | "resume">, argv: readonly string[]) {
  const { checkpoint } = runFolder(config);
  const before = stampOf(checkpoint);
  const anew = config.resume === "never" || (config.resume === "auto" && before === null);
  let last = { command: peekabooCommand(argv), from: anew ? "the beginning" : "where they started" };
  const restart = () => {
    const now = stampOf(checkpoint);
    // Another run's checkpoint, which this one has not replaced yet, is none to go on from.
    if (now !== null && now !== before)
      last = { command: peekabooCommand(resuming(argv)), from: "the last checkpoint" };
    return last;
  };
  return { command: last.command, restart };
}
