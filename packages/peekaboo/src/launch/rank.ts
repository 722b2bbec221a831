import { Writable } from "node:stream";
import { distributed } from "@peekaboo/torch";
import { type TrainConfig, wantedDevice } from "../config/config.js";
import type { Io } from "../console/io.js";
import { type Environment, TOKEN } from "./environment.js";
import { type RankPlan, wantsCuda } from "./plan.js";

/** Meets the other ranks. @throws {UserError} for what keeps the job from starting, DistributedError when a rank is lost. */
export function joinGroup(plan: RankPlan, env: Environment): Promise<distributed.ProcessGroup> {
  const { rank, worldSize, backend, initMethod, timeoutMs, startTimeoutMs } = plan;
  const token = env[TOKEN] ?? "";
  return distributed.initProcessGroup({ rank, worldSize, backend, initMethod, timeoutMs, startTimeoutMs, token, env });
}

/** The settings with this rank's own CUDA device, where it computes on one. */
export function configOfRank(
  config: TrainConfig,
  { localRank }: Pick<RankPlan, "localRank">,
  { cudaDevices }: { cudaDevices: number },
): TrainConfig {
  if (!wantsCuda(config) || cudaDevices === 0) return config;
  const first = Number(/^cuda:(\d+)$/.exec(wantedDevice(config).name)?.[1] ?? 0);
  // Where each process sees one device alone, as Slurm can arrange it, that is its own.
  const own = cudaDevices === 1 ? first : first + localRank;
  return { ...config, device: `cuda:${own}` };
}

/** Where a rank writes: rank 0 for all of them, the others nowhere. */
export function ioOfRank(rank: number, io: Io): Io {
  return rank === 0 ? io : { stdout: nowhere(), stderr: nowhere() };
}

function nowhere(): Writable {
  return new Writable({ write: (_chunk, _encoding, done) => done() });
}
