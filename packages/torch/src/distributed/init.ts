import { quoted, UserError } from "@peekaboo/files/errors";
import { DistributedError } from "../errors.js";
import { native, typedError } from "../native.js";
import { environmentOf } from "./launch.js";
import type { Backend, GroupNumber } from "./native.js";
import { ProcessGroup } from "./process-group.js";
import { addressesOf, isLoopback, listeningHosts, reachStore, serveStore } from "./reach.js";
import { joinRanks } from "./rendezvous.js";
import type { Store } from "./store.js";

const OPERATION = "join the process group";
const DEFAULT_TIMEOUT_MS = 300_000;
/** How much longer than twice its own time the connecting of the ranks may take. */
const MARGIN_MS = 2_000;
const LONGEST_MS = 7 * 24 * 3600 * 1000;

export interface ProcessGroupOptions {
  /**
   * "gloo" (the default) for tensors on the CPU. "nccl" for those on CUDA devices, where libtorch and this addon were
   * built with it; untested: never compiled or run.
   */
  backend?: Backend;
  /** Where rank 0 serves the store; "env://", the default, reads it from the environment, with rank and worldSize. */
  initMethod?: { host: string; port: number } | string;
  rank?: number;
  worldSize?: number;
  /** How long a collective waits for the other ranks. */
  timeoutMs?: number;
  /** How long to wait here for the other ranks to come; default: `timeoutMs`. */
  startTimeoutMs?: number;
  /**
   * The network interface for Gloo, e.g. "eth0". Default: the loopback one where all ranks are of this machine, else
   * GLOO_SOCKET_IFNAME, else what this machine's name resolves to.
   */
  networkInterface?: string;
  /** What every rank of the job knows and nobody else should: the store lets in no one without it. */
  token?: string;
  /** The environment that "env://" reads; default: the process's own. */
  env?: Readonly<Record<string, string | undefined>>;
}

interface Plan {
  backend: Backend;
  host: string;
  port: number;
  rank: number;
  worldSize: number;
  timeoutMs: number;
  startTimeoutMs: number;
  networkInterface: string;
  /** The host name or address for Gloo, where it is not to look for one. */
  hostname: string;
  token: string;
  servesStore: boolean;
  launcherServesStore: boolean;
  attempt: number;
}

/**
 * Meets the other ranks and connects to them.
 *
 * @throws {UserError} for what keeps the job from starting: a port that is taken, a host that does not resolve, nobody
 *   or another program there, a rank twice or never, different world sizes. DistributedError when a rank is lost meanwhile.
 */
export async function initProcessGroup(options: ProcessGroupOptions = {}): Promise<ProcessGroup> {
  const plan = planOf(options);
  checkBackend(plan.backend);
  const store = await openStore(plan);
  try {
    await joinRanks(store, { ...plan, timeoutMs: plan.startTimeoutMs });
    return await connectRanks(store, plan);
  } catch (error) {
    store.close();
    throw typedError(error);
  }
}

async function openStore(plan: Plan): Promise<Store> {
  const { host, port, token, servesStore: serve, launcherServesStore: foreign, startTimeoutMs: timeoutMs } = plan;
  const addresses = await addressesOf(host, timeoutMs);
  const options = { host, port, serve, timeoutMs, token, foreign };
  if (serve) return serveStore({ ...options, hosts: listeningHosts(host, addresses) });
  return reachStore({ ...options, hosts: addresses });
}

async function connectRanks(store: Store, plan: Plan): Promise<ProcessGroup> {
  const { backend, rank, worldSize: size, timeoutMs, networkInterface, hostname, servesStore, attempt } = plan;
  const name = `${backend}/${attempt}`;
  const created = native().groupCreate(store.number, backend, rank, size, timeoutMs, name, networkInterface, hostname);
  const number = await inTime(created, 2 * timeoutMs + MARGIN_MS);
  try {
    await exchangeAddresses(store, number, plan);
    const group = new ProcessGroup({ number, backend, rank, size, timeoutMs, store, servesStore });
    // Not before all of them are connected may the one who serves the store go on, and perhaps end.
    await group.barrier();
    return group;
  } catch (error) {
    native().groupClose(number);
    throw error;
  }
}

/** Gloo keeps its own time, but not while a stranger in another rank's place keeps it reading. */
async function inTime(created: Promise<GroupNumber>, limit: number): Promise<GroupNumber> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const message = `the ranks did not connect to each other within ${limit} ms`;
    timer = setTimeout(() => reject(new DistributedError("create the process group", message)), limit);
  });
  try {
    return await Promise.race([created, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Tells each rank this process's ends of the connections to it, by which its errors name this process. */
async function exchangeAddresses(store: Store, group: GroupNumber, { rank, worldSize, attempt }: Plan): Promise<void> {
  const key = (of: number) => `addresses/${attempt}/${of}`;
  const ranks = Array.from({ length: worldSize }, (_, other) => other);
  const mine = ranks.map((other) => native().groupAddresses(group, other));
  await store.set(key(rank), JSON.stringify(mine));
  await store.wait(ranks.map(key));
  for (const other of ranks) {
    if (other === rank) continue;
    const theirs = JSON.parse((await store.get(key(other))) ?? "[]") as string[][];
    native().groupLearn(group, other, theirs[rank] ?? []);
  }
}

function planOf(options: ProcessGroupOptions): Plan {
  const { backend = "gloo", initMethod = "env://", timeoutMs = DEFAULT_TIMEOUT_MS, env = process.env } = options;
  checkNumber("timeoutMs", timeoutMs, 1, LONGEST_MS);
  const startTimeoutMs = checkNumber("startTimeoutMs", options.startTimeoutMs ?? timeoutMs, 1, LONGEST_MS);
  const launched = initMethod === "env://" ? launchOf(env) : null;
  const { host, port } =
    launched === null ? addressOf(initMethod) : { host: launched.masterAddr, port: launched.masterPort };
  const worldSize = checkNumber("worldSize", options.worldSize ?? launched?.worldSize, 1, 2 ** 20);
  const rank = checkNumber("rank", options.rank ?? launched?.rank, 0, worldSize - 1);
  const launcherServesStore = launched?.launcherServesStore ?? false;
  const oneMachine = launched !== null && Number(env.LOCAL_WORLD_SIZE) === worldSize;
  // Ranks of one machine have nothing to say to another, whatever this one's name resolves to.
  const here = isLoopback(host) ? host : oneMachine ? "127.0.0.1" : "";
  const networkInterface = options.networkInterface ?? (here === "" ? (env.GLOO_SOCKET_IFNAME ?? "") : "");
  return {
    ...{ backend, host, port, rank, worldSize, timeoutMs, startTimeoutMs, networkInterface, launcherServesStore },
    hostname: networkInterface === "" ? here : "",
    token: options.token ?? "",
    servesStore: rank === 0 && !launcherServesStore,
    attempt: launched?.restarts ?? 0,
  };
}

function launchOf(env: Readonly<Record<string, string | undefined>>) {
  const launched = environmentOf(env);
  if (launched !== null) return launched;
  throw new UserError({
    operation: OPERATION,
    argument: "the environment",
    expected: "RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT, or those of Slurm",
    received: "none of them",
    remedy: "start with torchrun, srun or a launcher that sets them, or pass initMethod, rank and worldSize",
  });
}

function addressOf(initMethod: { host: string; port: number } | string): { host: string; port: number } {
  const address = typeof initMethod === "string" ? parseAddress(initMethod) : initMethod;
  if (address !== null && address.host !== "" && Number.isInteger(address.port)) {
    return { host: address.host, port: checkNumber("port", address.port, 1, 65535) };
  }
  throw new UserError({
    operation: OPERATION,
    argument: "initMethod",
    expected: '"env://", "tcp://HOST:PORT" or { host, port }',
    received: typeof initMethod === "string" ? quoted(initMethod) : quoted(JSON.stringify(initMethod)),
  });
}

function parseAddress(text: string): { host: string; port: number } | null {
  const [, bracketed, plain, port] = /^tcp:\/\/(?:\[([^\]]+)\]|([^:/]+)):(\d+)$/.exec(text) ?? [];
  return port === undefined ? null : { host: bracketed ?? plain ?? "", port: Number(port) };
}

function checkNumber(argument: string, value: number | undefined, least: number, most: number): number {
  if (value !== undefined && Number.isInteger(value) && value >= least && value <= most) return value;
  throw new UserError({
    operation: OPERATION,
    argument,
    expected: `a whole number from ${least} to ${most}`,
    received: String(value),
  });
}

function checkBackend(backend: Backend): void {
  const built = native().distributedBackends();
  if (built.includes(backend)) return;
  throw new UserError({
    operation: OPERATION,
    argument: "backend",
    expected: built.length === 0 ? "an addon with distributed support" : built.join(" or "),
    received: built.length === 0 ? "one that was built without" : `"${backend}"`,
    remedy:
      backend === "nccl"
        ? "a CUDA build of libtorch with nccl.h and cuda_runtime.h (CUDA_HOME) is needed: set LIBTORCH to it and build again"
        : "build again with Gloo: Debian's libtorch needs libgloo-dev (apt-get install libgloo-dev), any other a libtorch that has Gloo inside, as pip's and pytorch.org's do",
  });
}
