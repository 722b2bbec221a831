import { distributed, UserError } from "@peekaboo/torch";
import { type Config, wantedDevice } from "../config/config.js";
import { type Address, addressOf } from "../config/dist-url.js";
import { setting } from "../setting.js";
import { type Environment, isLaunched } from "./environment.js";

/** What a command line and its environment ask for: one process, one of several, or to start several. */
export type LaunchPlan = { readonly kind: "single" } | RankPlan | SpawnPlan;

/** One of the processes that train together. */
export interface RankPlan {
  readonly kind: "rank";
  readonly rank: number;
  readonly worldSize: number;
  /** The place among this machine's processes, and how many those are, as far as the environment tells. */
  readonly localRank: number;
  readonly localSize: number;
  /** Where rank 0 serves the store; "env://" leaves that to the environment. */
  readonly initMethod: Address | "env://";
  readonly backend: distributed.Backend;
  readonly timeoutMs: number;
  readonly startTimeoutMs: number;
}

/** The processes to start on this machine. */
export interface SpawnPlan {
  readonly kind: "spawn";
  /** How many, on each machine. */
  readonly processes: number;
  readonly machine: number;
  readonly machines: number;
  /** Where rank 0 listens; null for a free port of this machine, the only one. */
  readonly address: Address | null;
  readonly maxRestarts: number;
}

const OPERATION = "start several processes";

/** What says where a job's processes are and what they compute on. */
export type LaunchConfig = Config<"distributed" | "device" | "useCuda">;

/** Whether training computes on CUDA devices, if there are any. */
export function wantsCuda(config: LaunchConfig): boolean {
  return config.distributed.backend === "nccl" || wantedDevice(config).name.startsWith("cuda");
}

/**
 * What the settings ask for, and where they are silent the environment of torchrun, Slurm or Kubernetes.
 * `cudaDevices` counts those of this machine, and matters only where training is on CUDA.
 *
 * @throws {UserError} for settings that contradict each other or lack one.
 */
export function launchPlan(config: LaunchConfig, env: Environment, cudaDevices: number): LaunchPlan {
  const { nprocPerNode, multiprocessing, maxRestarts, backend } = config.distributed;
  const spawns = (nprocPerNode !== null || multiprocessing) && !isLaunched(env);
  const plan = spawns ? spawnPlan(config, env, cudaDevices) : rankPlan(config, env, cudaDevices);
  if (plan.kind !== "single" && backend === "nccl" && cudaDevices === 0) {
    throw refusal(setting("distributed.backend"), "gloo on a machine without CUDA devices", "nccl", "leave it out");
  }
  if (maxRestarts === 0 || isLaunched(env)) return plan;
  if (plan.kind !== "spawn") {
    const remedy = `add ${setting("distributed.nprocPerNode")}, or let the launcher start the job again with ${setting("resume")} auto`;
    throw refusal(
      setting("distributed.maxRestarts"),
      "0 where this command starts no other processes",
      `${maxRestarts}`,
      remedy,
    );
  }
  if (plan.machines > 1) {
    const remedy = `let what starts this command on each machine start it again, with ${setting("resume")} auto`;
    throw refusal(setting("distributed.maxRestarts"), "0 with several machines", `${maxRestarts}`, remedy);
  }
  return plan;
}

function rankPlan(config: LaunchConfig, env: Environment, cudaDevices: number): RankPlan | { kind: "single" } {
  const settings = isLaunched(env) ? { rank: null, worldSize: null, url: null } : config.distributed;
  const place = placeOf(settings, env);
  const worldSize = settings.worldSize ?? place?.worldSize ?? null;
  const rank = settings.rank ?? place?.rank ?? (worldSize === 1 ? 0 : null);
  const address = settings.url === null ? null : addressOf(settings.url);
  if (worldSize === null) {
    if (rank === null && address === null) return { kind: "single" };
    throw missing(
      setting("distributed.worldSize"),
      "the number of processes",
      rank === null ? setting("distributed.url") : setting("distributed.rank"),
    );
  }
  if (rank === null)
    throw missing(
      setting("distributed.rank"),
      `this process's number, from 0 to ${worldSize - 1}`,
      setting("distributed.worldSize"),
    );
  checkRank(rank, worldSize);
  if (worldSize === 1) return { kind: "single" };
  if (address === null && place === null) {
    throw missing(
      setting("distributed.url"),
      "tcp://HOST:PORT of rank 0, the same for every process",
      setting("distributed.worldSize"),
    );
  }
  const { timeout, startTimeout } = config.distributed;
  return {
    kind: "rank",
    rank,
    worldSize,
    localRank: place?.localRank ?? 0,
    localSize: place?.localSize ?? 1,
    initMethod: address ?? place?.initMethod ?? "env://",
    backend: config.distributed.backend ?? (wantsCuda(config) && cudaDevices > 0 ? "nccl" : "gloo"),
    timeoutMs: milliseconds(timeout),
    startTimeoutMs: milliseconds(startTimeout ?? timeout),
  };
}

function spawnPlan(config: LaunchConfig, env: Environment, cudaDevices: number): SpawnPlan {
  const { nprocPerNode, worldSize, rank, url, maxRestarts } = config.distributed;
  const processes = nprocPerNode ?? (wantsCuda(config) ? Math.max(1, cudaDevices) : 1);
  const alone = url === null && worldSize === 1;
  const place = alone ? null : placeOf(config.distributed, env);
  if (place !== null) refuseSecondLauncher(env, place);
  const machines = worldSize ?? place?.worldSize ?? (rank === null ? 1 : null);
  if (machines === null)
    throw missing(setting("distributed.worldSize"), "the number of machines", setting("distributed.rank"));
  const machine = rank ?? place?.rank ?? (machines === 1 ? 0 : null);
  if (machine === null)
    throw missing(
      setting("distributed.rank"),
      `this machine's number, from 0 to ${machines - 1}`,
      setting("distributed.worldSize"),
    );
  checkRank(machine, machines);
  const address = (url === null ? null : addressOf(url)) ?? place?.address ?? null;
  if (machines > 1 && address === null) {
    throw missing(
      setting("distributed.url"),
      "tcp://HOST:PORT of the first machine, the same for all",
      setting("distributed.worldSize"),
    );
  }
  const shared = machines > 1 || url !== null;
  return { kind: "spawn", processes, machine, machines, address: shared ? address : null, maxRestarts };
}

interface Surroundings {
  readonly rank: number;
  readonly worldSize: number;
  readonly localRank: number;
  readonly localSize: number;
  readonly address: Address;
  readonly initMethod: Address | "env://";
  readonly servesStore: boolean;
}

/** What the environment tells, unless the settings say it all. */
function placeOf(
  { rank, worldSize, url }: Pick<LaunchConfig["distributed"], "rank" | "worldSize" | "url">,
  env: Environment,
): Surroundings | null {
  const complete = rank !== null && worldSize !== null;
  const asks = url === "env://";
  if (complete && url !== null && !asks) return null;
  let found = distributed.environmentOf(env);
  let initMethod: "env://" | null = "env://";
  // As in PyTorch, env:// may tell of the address alone.
  if (found === null && complete && env.MASTER_ADDR !== undefined) {
    found = distributed.environmentOf({ ...env, RANK: String(rank), WORLD_SIZE: String(worldSize) });
    initMethod = null;
  }
  if (found === null) {
    if (!asks) return null;
    const expected = "tcp://HOST:PORT where the environment has no RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT";
    throw refusal(
      setting("distributed.url"),
      expected,
      "env://",
      "start through torchrun, srun or a launcher that sets them",
    );
  }
  const address = { host: found.masterAddr, port: found.masterPort };
  const localSize = Math.max(found.localRank + 1, Number(env.LOCAL_WORLD_SIZE) || 1);
  const { localRank, launcherServesStore: servesStore } = found;
  const [at, of] = [found.rank, found.worldSize];
  return { rank: at, worldSize: of, localRank, localSize, address, initMethod: initMethod ?? address, servesStore };
}

/** With --nproc-per-node, an environment that is there tells of machines: nobody else may have started several on one. */
function refuseSecondLauncher(env: Environment, { localSize, servesStore }: Surroundings): void {
  const slurm = env.SLURM_PROCID !== undefined && env.SLURM_NTASKS !== env.SLURM_NNODES;
  if (localSize === 1 && !servesStore && !slurm) return;
  throw refusal(
    `${setting("distributed.nprocPerNode")} or ${setting("distributed.multiprocessing")}`,
    "none where torchrun or srun starts a machine's processes",
    "it",
    `leave it out, or give ${setting("distributed.worldSize")} 1 to ignore the launcher's environment`,
  );
}

function checkRank(rank: number, worldSize: number): void {
  if (rank < worldSize) return;
  throw refusal(
    setting("distributed.rank"),
    `a number below the world size, ${worldSize}`,
    `${rank}`,
    "ranks count from 0",
  );
}

function missing(flag: string, what: string, because: string): UserError {
  return refusal(flag, what, `none beside ${because}`, "add it");
}

function refusal(argument: string, expected: string, received: string, remedy: string): UserError {
  return new UserError({ operation: OPERATION, argument, expected, received, remedy });
}

function milliseconds(seconds: number): number {
  return Math.max(1, Math.round(seconds * 1000));
}
