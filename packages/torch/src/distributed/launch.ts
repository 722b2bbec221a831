import { isIP } from "node:net";
import { quoted, UserError } from "@peekaboo/files/errors";
import { firstHostOf } from "./slurm.js";

/** A process's place in a distributed job, as its launcher tells it. */
export interface LaunchEnvironment {
  rank: number;
  worldSize: number;
  /** The place among this machine's processes. */
  localRank: number;
  masterAddr: string;
  masterPort: number;
  /** How often the launcher has started the job again. */
  restarts: number;
  /** Whether the launcher serves the store at that address itself (torchrun), not rank 0. */
  launcherServesStore: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

const OPERATION = "read the launcher's environment";
const START = "start through torchrun, srun or a launcher that sets them all, or unset them";

/**
 * The place that torchrun (RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT), Kubernetes' PyTorchJob and Trainer
 * (the same, or PET_…) or Slurm (SLURM_…) give a process; null where there is none of them.
 *
 * @throws {UserError} for variables that are missing, malformed or contradict each other.
 */
export function environmentOf(env: Environment): LaunchEnvironment | null {
  const variables = new Variables(env);
  const found = ofTorchrun(variables) ?? ofKubernetes(variables) ?? ofSlurm(variables);
  if (found === null) return null;
  if (found.rank >= found.worldSize || found.localRank >= found.worldSize) {
    throw new UserError({
      operation: OPERATION,
      argument: "the rank",
      expected: `ranks below the world size, ${found.worldSize}`,
      received: `rank ${found.rank}, local rank ${found.localRank}`,
      remedy: "ranks count from 0",
    });
  }
  return found;
}

/** The environment's variables; an empty one counts as absent. */
class Variables {
  readonly #env: Environment;

  constructor(env: Environment) {
    this.#env = env;
  }

  text(name: string): string | null {
    const value = this.#env[name]?.trim();
    return value === undefined || value === "" ? null : value;
  }

  has(...names: string[]): boolean {
    return names.some((name) => this.text(name) !== null);
  }

  number(name: string, least = 0, most = 2 ** 31 - 1): number | null {
    const text = this.text(name);
    if (text === null) return null;
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    throw new UserError({
      operation: OPERATION,
      argument: name,
      expected: `a whole number from ${least} to ${most}`,
      received: quoted(text),
    });
  }

  /** The value, which has to be there because others are. */
  needed<Value>(name: string, value: Value | null, because: string): Value {
    if (value !== null) return value;
    throw new UserError({
      operation: OPERATION,
      argument: name,
      expected: `a value, as ${because} is set`,
      received: "none",
      remedy: START,
    });
  }

  /** Throws unless two values that are both there agree. */
  agree(name: string, value: string | number, other: string, expected: string | number | null): void {
    if (expected === null || expected === value) return;
    throw new UserError({
      operation: OPERATION,
      argument: name,
      expected: `${expected}, as ${other} says`,
      received: String(value),
      remedy: "unset the one that is left over from another launcher",
    });
  }
}

function ofTorchrun(variables: Variables): LaunchEnvironment | null {
  const names = ["RANK", "WORLD_SIZE", "LOCAL_RANK"] as const;
  const set = names.find((name) => variables.has(name));
  if (set === undefined) return null;
  const need = <Value>(name: string, value: Value | null) => variables.needed(name, value, set);
  const rank = need("RANK", variables.number("RANK"));
  const worldSize = need("WORLD_SIZE", variables.number("WORLD_SIZE", 1));
  const localRank = variables.number("LOCAL_RANK");
  const nodes = petNodes(variables);
  if (nodes !== null) {
    if (localRank === null) refuseSeveralPerNode(nodes.perNode);
    variables.agree("WORLD_SIZE", worldSize, "PET_NNODES × PET_NPROC_PER_NODE", nodes.count * nodes.perNode);
  }
  return {
    rank,
    worldSize,
    localRank: localRank ?? 0,
    masterAddr: need("MASTER_ADDR", host(variables, "MASTER_ADDR") ?? host(variables, "PET_MASTER_ADDR")),
    masterPort: need("MASTER_PORT", port(variables, "MASTER_PORT") ?? port(variables, "PET_MASTER_PORT")),
    restarts: variables.number("TORCHELASTIC_RESTART_COUNT") ?? 0,
    launcherServesStore: variables.text("TORCHELASTIC_USE_AGENT_STORE")?.toLowerCase() === "true",
  };
}

/** Kubernetes' Trainer tells a pod of its node alone: one process is started in it, or more with LOCAL_RANK. */
function ofKubernetes(variables: Variables): LaunchEnvironment | null {
  const names = ["PET_NODE_RANK", "PET_MASTER_ADDR", "PET_MASTER_PORT"] as const;
  const set = names.find((name) => variables.has(name));
  if (set === undefined) return null;
  const need = <Value>(name: string, value: Value | null) => variables.needed(name, value, set);
  const nodes = petNodes(variables);
  if (nodes === null) {
    throw new UserError({
      operation: OPERATION,
      argument: "PET_NNODES and PET_NPROC_PER_NODE",
      expected: "one number each",
      received: `${variables.text("PET_NNODES")} and ${variables.text("PET_NPROC_PER_NODE")}`,
      remedy: "a range, or auto, is for torchrun to decide on: start through it, or say how many",
    });
  }
  refuseSeveralPerNode(nodes.perNode);
  return {
    rank: need("PET_NODE_RANK", variables.number("PET_NODE_RANK")),
    worldSize: nodes.count,
    localRank: 0,
    masterAddr: need("PET_MASTER_ADDR", host(variables, "PET_MASTER_ADDR")),
    masterPort: need("PET_MASTER_PORT", port(variables, "PET_MASTER_PORT")),
    restarts: 0,
    launcherServesStore: false,
  };
}

/** PET_NNODES may be a range for torchrun to choose from; nothing follows from it then. */
function petNodes(variables: Variables): { count: number; perNode: number } | null {
  const range = /^(\d+):(\d+)$/.exec(variables.text("PET_NNODES") ?? "");
  if (range !== null && range[1] !== range[2]) return null;
  const count = range === null ? variables.number("PET_NNODES", 1) : Number(range[1]);
  const words = ["auto", "cpu", "gpu"];
  if (count === null || words.includes(variables.text("PET_NPROC_PER_NODE") ?? "")) return null;
  return { count, perNode: variables.number("PET_NPROC_PER_NODE", 1) ?? 1 };
}

function refuseSeveralPerNode(perNode: number): void {
  if (perNode === 1) return;
  throw new UserError({
    operation: OPERATION,
    argument: "LOCAL_RANK",
    expected: `a value, as PET_NPROC_PER_NODE is ${perNode}`,
    received: "none",
    remedy: `start ${perNode} processes on each machine with ranks of their own, as torchrun does, or make it 1`,
  });
}

function ofSlurm(variables: Variables): LaunchEnvironment | null {
  if (!variables.has("SLURM_PROCID")) return null;
  const need = <Value>(name: string, value: Value | null) => variables.needed(name, value, "SLURM_PROCID");
  const tasks = variables.number("SLURM_STEP_NUM_TASKS", 1) ?? variables.number("SLURM_NTASKS", 1);
  const list = ["SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST", "SLURM_NODELIST"]
    .map((name) => variables.text(name))
    .find((text) => text !== null);
  const first = host(variables, "MASTER_ADDR") ?? (list == null ? null : firstHostOf(list));
  return {
    rank: need("SLURM_PROCID", variables.number("SLURM_PROCID")),
    worldSize: need("SLURM_NTASKS", tasks),
    localRank: variables.number("SLURM_LOCALID") ?? 0,
    masterAddr: need("SLURM_JOB_NODELIST", first),
    masterPort: need("MASTER_PORT or SLURM_JOB_ID", port(variables, "MASTER_PORT") ?? portOfJob(variables)),
    restarts: variables.number("SLURM_RESTART_COUNT") ?? 0,
    launcherServesStore: false,
  };
}

/** A port that jobs on the same machine are unlikely to share, from 10000 to 29999: below those that systems hand out. */
function portOfJob(variables: Variables): number | null {
  const job = variables.number("SLURM_JOB_ID") ?? variables.number("SLURM_JOBID");
  return job === null ? null : 10_000 + (job % 20_000);
}

/** A host name or address; an IPv6 address may be in brackets, as in a URL. */
function host(variables: Variables, name: string): string | null {
  const text = variables.text(name);
  if (text === null) return null;
  const bare = /^\[(.*)\]$/.exec(text);
  const found = bare?.[1] ?? text;
  if (bare === null ? isIP(found) !== 0 || /^[\w.-]+$/.test(found) : isIP(found) === 6) return found;
  throw new UserError({
    operation: OPERATION,
    argument: name,
    expected: "a host name or an address, without a port",
    received: quoted(text),
  });
}

function port(variables: Variables, name: string): number | null {
  return variables.number(name, 1, 65535);
}
