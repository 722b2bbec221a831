import { readFileSync } from "node:fs";
import { availableParallelism, totalmem } from "node:os";
import { quoted } from "@peekaboo/files/errors";
import { cgroupFolders } from "./cgroups.js";

/** What a process may know of the machine that it runs on. */
export interface Machine {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The processors that the system lets this process use. */
  readonly processors: number;
  /** Bytes of memory. */
  readonly memory: number;
  /** A file's text; undefined when it can't be read. */
  read(path: string): string | undefined;
}

/** How many threads compute here when nobody says how many, and why so many. */
export interface Cores {
  readonly count: number;
  readonly why: string;
  /** What was set but can't be followed, in words. */
  readonly ignored: readonly string[];
}

/** A cgroup's limit of memory, and the files that tell what of it is in use. */
export interface MemoryLimit {
  /** Bytes. */
  readonly limit: number;
  /** Bytes in use by all of its processes, the system's copies of files included. */
  readonly usage: string;
  /** What those bytes are. */
  readonly stat: string;
}

/** This process's. */
const HERE: Machine = {
  env: process.env,
  get processors() {
    return availableParallelism();
  },
  get memory() {
    return totalmem();
  },
  read(path) {
    try {
      return readFileSync(path, "utf8");
    } catch {
      return undefined;
    }
  },
};

/**
 * How many threads each of `processes` computes with here: OMP_NUM_THREADS if it is set, else its share of what the processors
 * that it may run on and the CPU quotas of its cgroups leave; at most OMP_THREAD_LIMIT. Rounded down, but at least 1.
 */
export function cores(processes = 1, machine: Machine = HERE): Cores {
  const { env } = machine;
  const ignored: string[] = [];
  const asked = fromEnvironment(env, "OMP_NUM_THREADS", ignored);
  const most = fromEnvironment(env, "OMP_THREAD_LIMIT", ignored) ?? MOST;
  const { count, why } = asked === undefined ? shareOf(machine, processes) : { count: asked, why: "OMP_NUM_THREADS" };
  return { ...(count > most ? { count: most, why: "OMP_THREAD_LIMIT" } : { count, why }), ignored };
}

/** OpenMP's variables: a whole number from 1, or a list of such, whose others are for nested regions. */
function fromEnvironment(env: Machine["env"], name: string, ignored: string[]): number | undefined {
  const text = env[name]?.trim() ?? "";
  if (text === "") return undefined;
  const numbers = text.split(",").map(positive);
  const [first] = numbers;
  if (first !== undefined && !numbers.includes(undefined)) return Math.min(first, MOST);
  ignored.push(`${name} is ${quoted(text)}, which is no number of threads`);
  return undefined;
}

/** The most threads that can be set. */
const MOST = 1024;

/** What the system leaves to each of so many processes. */
function shareOf(machine: Machine, processes: number): { count: number; why: string } {
  const { count, why } = systemsShare(machine);
  if (processes === 1) return { count, why };
  return { count: Math.max(1, Math.floor(count / processes)), why: `${why}, shared by ${processes} processes` };
}

function systemsShare({ processors, read }: Machine): { count: number; why: string } {
  const allowed = allowedProcessors(read) ?? processors;
  const quota = Math.max(1, Math.floor(cpuQuota(read)));
  if (quota < allowed) return { count: quota, why: "the CPU quota of its cgroup" };
  const some = allowed < (numbersOf(read("/sys/devices/system/cpu/online"))?.size ?? 0);
  return {
    count: Math.min(allowed, MOST),
    why: some ? "the processors that it may run on" : "the machine's processors",
  };
}

/**
 * The processors of this process's affinity and cpuset that are there. Newer versions of Node would answer with a quota in it,
 * rounded and weighted in their own way.
 */
function allowedProcessors(read: Machine["read"]): number | undefined {
  const allowed = /^Cpus_allowed_list:\s*(.*)$/m.exec(read("/proc/self/status") ?? "")?.[1];
  const online = numbersOf(read("/sys/devices/system/cpu/online"));
  const own = numbersOf(allowed);
  if (own === undefined || online === undefined) return undefined;
  const there = [...own].filter((number) => online.has(number)).length;
  return there === 0 ? undefined : there;
}

/** The numbers of a list such as "0-3,8"; undefined for what is none. */
function numbersOf(text: string | undefined): ReadonlySet<number> | undefined {
  const numbers = new Set<number>();
  for (const part of (text ?? "").trim().split(",")) {
    const [, first, last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part.trim()) ?? [];
    if (first === undefined) return undefined;
    for (let number = Number(first); number <= Number(last); number++) numbers.add(number);
  }
  return numbers;
}

/** The least quota of this process's cgroups and their parents, in processors; Infinity without one. */
function cpuQuota(read: Machine["read"]): number {
  const quotas = cgroupFolders("cpu", read).map(({ folder, version }) => {
    const [quota, period] =
      version === 2
        ? (read(`${folder}/cpu.max`) ?? "").trim().split(/\s+/)
        : [read(`${folder}/cpu.cfs_quota_us`), read(`${folder}/cpu.cfs_period_us`)];
    const [part, whole] = [positive(quota), positive(period)];
    return part === undefined || whole === undefined ? Number.POSITIVE_INFINITY : part / whole;
  });
  return Math.min(Number.POSITIVE_INFINITY, ...quotas);
}

/** A positive whole number; undefined for "max", -1 and anything else. */
function positive(text: string | undefined): number | undefined {
  const value = /^\d+$/.test(text?.trim() ?? "") ? Number(text) : 0;
  return value > 0 ? value : undefined;
}

/** The limits of memory of this process's cgroups and their parents, but for those that the machine's memory is below. */
export function memoryLimits(machine: Machine = HERE): MemoryLimit[] {
  const { read, memory } = machine;
  return cgroupFolders("memory", read).flatMap(({ folder, version }) => {
    const names = version === 2 ? ["memory.max", "memory.high"] : ["memory.limit_in_bytes"];
    const usage = `${folder}/${version === 2 ? "memory.current" : "memory.usage_in_bytes"}`;
    const limits = names.flatMap((name) => positive(read(`${folder}/${name}`)) ?? []);
    const limit = Math.min(Number.POSITIVE_INFINITY, ...limits);
    return limit < memory && positive(read(usage)) !== undefined
      ? [{ limit, usage, stat: `${folder}/memory.stat` }]
      : [];
  });
}
