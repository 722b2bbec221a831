import { UserError } from "@peekaboo/files/errors";
import { describe, expect, it } from "vitest";
import { parseConfig } from "../config/config.js";
import { type Environment, environmentFor } from "./environment.js";
import { launchPlan } from "./plan.js";

type Settings = Record<string, unknown>;

function planOf(distributed: Settings, env: Environment = {}, cudaDevices = 0, more: Settings = {}) {
  return launchPlan(parseConfig({ ...more, distributed }), env, cudaDevices);
}

function refusalOf(distributed: Settings, env: Environment = {}, more: Settings = {}): string {
  try {
    planOf(distributed, env, 0, more);
  } catch (error) {
    if (error instanceof UserError) return error.message.replace("start several processes: ", "");
    throw error;
  }
  return "accepted";
}

const torchrun = { RANK: "3", WORLD_SIZE: "8", LOCAL_RANK: "1", MASTER_ADDR: "node0", MASTER_PORT: "29400" };
const pod = { RANK: "1", WORLD_SIZE: "4", MASTER_ADDR: "job-0", MASTER_PORT: "23456" };
const slurm = { SLURM_PROCID: "2", SLURM_NTASKS: "4", SLURM_LOCALID: "1", SLURM_JOB_NODELIST: "n[1-2]" };
const job = { SLURM_JOB_ID: "7" };
const url = "tcp://10.0.0.1:2222";
const address = { host: "10.0.0.1", port: 2222 };
const rank = {
  kind: "rank",
  localRank: 0,
  localSize: 1,
  backend: "gloo",
  timeoutMs: 300_000,
  startTimeoutMs: 300_000,
};
const spawn = { kind: "spawn", machine: 0, machines: 1, address: null, maxRestarts: 0 };

describe("one process", () => {
  it.each<[string, Settings, Environment]>([
    ["nothing", {}, {}],
    ["--world-size 1", { worldSize: 1 }, {}],
    ["all flags of a world of one", { worldSize: 1, rank: 0, url }, {}],
    ["--world-size 1, which beats the environment's", { worldSize: 1, rank: 0 }, torchrun],
    ["a launcher of one", {}, { ...torchrun, RANK: "0", WORLD_SIZE: "1", LOCAL_RANK: "0" }],
  ])("trains alone with %s", (_, settings, env) => expect(planOf(settings, env)).toEqual({ kind: "single" }));
});

describe("a rank", () => {
  it("is told by flags", () => {
    const settings = { worldSize: 2, rank: 1, url, timeout: 1.5, startTimeout: 60 };
    const times = { timeoutMs: 1500, startTimeoutMs: 60_000 };
    expect(planOf(settings)).toEqual({ ...rank, rank: 1, worldSize: 2, initMethod: address, ...times });
    expect(planOf({ ...settings, startTimeout: null })).toMatchObject({ startTimeoutMs: 1500 });
    expect(planOf({ ...settings, url: "tcp://[fe80::1]:65535" })).toMatchObject({
      initMethod: { host: "fe80::1", port: 65535 },
    });
  });

  it("is told by the environment, without any flag or with env://", () => {
    const expected = { ...rank, rank: 3, worldSize: 8, localRank: 1, localSize: 4, initMethod: "env://" };
    expect(planOf({}, { ...torchrun, LOCAL_WORLD_SIZE: "4" })).toEqual(expected);
    expect(planOf({ url: "env://" }, { ...torchrun, LOCAL_WORLD_SIZE: "4" })).toEqual(expected);
    expect(planOf({}, { ...slurm, ...job })).toMatchObject({
      rank: 2,
      worldSize: 4,
      localRank: 1,
      initMethod: "env://",
    });
  });

  it("follows each flag rather than the environment", () => {
    expect(planOf({ rank: 5 }, torchrun)).toMatchObject({ rank: 5, worldSize: 8, initMethod: "env://" });
    expect(planOf({ url }, torchrun)).toMatchObject({ rank: 3, worldSize: 8, initMethod: address });
    const all = planOf({ worldSize: 2, rank: 1, url }, { RANK: "nonsense" });
    expect(all).toMatchObject({ rank: 1, worldSize: 2, localRank: 0 });
  });

  it("takes the address alone from the environment, as in PyTorch", () => {
    const env = { MASTER_ADDR: "10.0.0.1", MASTER_PORT: "2222" };
    expect(planOf({ worldSize: 2, rank: 1, url: "env://" }, env)).toMatchObject({ rank: 1, initMethod: address });
  });

  it("talks through nccl where training is on CUDA devices that are there, unless told otherwise", () => {
    const settings = { worldSize: 2, rank: 1, url };
    expect(planOf(settings, {}, 2, { device: "cuda:0" })).toMatchObject({ backend: "nccl" });
    expect(planOf(settings, {}, 0, { useCuda: 0 })).toMatchObject({ backend: "gloo" });
    expect(planOf(settings, {}, 2)).toMatchObject({ backend: "gloo" });
    expect(planOf({ ...settings, backend: "gloo" }, {}, 2, { device: "cuda:0" })).toMatchObject({ backend: "gloo" });
  });

  it("that the supervisor started keeps its place whatever the flags, which are the supervisor's, say", () => {
    const place = { rank: 5, worldSize: 8, localRank: 1, localSize: 4, host: "10.0.0.1", port: 2222 };
    const env = environmentFor(place, { ...pod, PET_NNODES: "9", TORCHELASTIC_USE_AGENT_STORE: "True", HOME: "/h" });
    expect(env).toMatchObject({ HOME: "/h" });
    const settings = { nprocPerNode: 4, worldSize: 2, rank: 1, url, maxRestarts: 3, timeout: 7 };
    expect(planOf(settings, env)).toEqual({
      ...rank,
      ...{ rank: 5, worldSize: 8, localRank: 1, localSize: 4, initMethod: "env://" },
      ...{ timeoutMs: 7000, startTimeoutMs: 7000 },
    });
    const alone = environmentFor({ ...place, rank: 0, worldSize: 1, localRank: 0, localSize: 1 }, {});
    expect(planOf({ nprocPerNode: 1, maxRestarts: 3 }, alone)).toEqual({ kind: "single" });
  });
});

describe("several processes on this machine", () => {
  it.each<[string, Settings, Settings]>([
    ["--nproc-per-node", { nprocPerNode: 4 }, { processes: 4 }],
    ["--multiprocessing-distributed on the CPU", { multiprocessing: true }, { processes: 1 }],
    ["both", { multiprocessing: true, nprocPerNode: 3, maxRestarts: 2 }, { processes: 3, maxRestarts: 2 }],
    ["one machine, in words", { nprocPerNode: 2, worldSize: 1, rank: 0 }, { processes: 2 }],
    ["its port", { nprocPerNode: 2, url }, { processes: 2, address }],
    ["the ImageNet example's flags", { multiprocessing: true, worldSize: 1, rank: 0, url }, { processes: 1, address }],
    [
      "the second of three machines",
      { nprocPerNode: 2, worldSize: 3, rank: 1, url },
      { processes: 2, machine: 1, machines: 3, address },
    ],
  ])("are started by %s", (_, settings, expected) => expect(planOf(settings)).toEqual({ ...spawn, ...expected }));

  it("are as many as there are CUDA devices where training is on CUDA", () => {
    expect(planOf({ multiprocessing: true }, {}, 4, { useCuda: 0 })).toMatchObject({ processes: 4 });
    expect(planOf({ multiprocessing: true, backend: "nccl" }, {}, 4)).toMatchObject({ processes: 4 });
    expect(planOf({ multiprocessing: true }, {}, 0, { useCuda: 0 })).toMatchObject({ processes: 1 });
    expect(planOf({ multiprocessing: true }, {}, 4)).toMatchObject({ processes: 1 });
    expect(planOf({ nprocPerNode: 2 }, {}, 4, { device: "cuda:0" })).toMatchObject({ processes: 2 });
  });

  it("read the machine's place in the environment of a launcher that starts one process a machine", () => {
    const expected = { ...spawn, processes: 2, machine: 1, machines: 4, address: { host: "job-0", port: 23456 } };
    expect(planOf({ nprocPerNode: 2 }, pod)).toEqual(expected);
    expect(planOf({ nprocPerNode: 2, url: "env://" }, pod)).toEqual(expected);
    expect(planOf({ nprocPerNode: 2, rank: 2, url }, pod)).toEqual({ ...expected, machine: 2, address });
    const one = { ...slurm, ...job, SLURM_LOCALID: "0", SLURM_NTASKS: "4", SLURM_NNODES: "4" };
    expect(planOf({ nprocPerNode: 2 }, one)).toMatchObject({ machine: 2, machines: 4 });
    expect(planOf({ nprocPerNode: 2 }, { ...pod, RANK: "0", WORLD_SIZE: "1" })).toEqual({ ...spawn, processes: 2 });
    expect(planOf({ nprocPerNode: 2, worldSize: 1 }, torchrun)).toEqual({ ...spawn, processes: 2 });
  });
});

describe("half-set or contradictory settings are refused", () => {
  it.each<[Settings, string]>([
    [
      { rank: 1 },
      "expected the number of processes for `distributed.worldSize`, received none beside `distributed.rank`; add it.",
    ],
    [
      { url },
      "expected the number of processes for `distributed.worldSize`, received none beside `distributed.url`; add it.",
    ],
    [
      { worldSize: 2 },
      "expected this process's number, from 0 to 1 for `distributed.rank`, received none beside `distributed.worldSize`; add it.",
    ],
    [
      { worldSize: 2, rank: 0 },
      "expected tcp://HOST:PORT of rank 0, the same for every process for `distributed.url`, received none beside `distributed.worldSize`; add it.",
    ],
    [
      { worldSize: 2, rank: 2, url },
      "expected a number below the world size, 2 for `distributed.rank`, received 2; ranks count from 0.",
    ],
    [
      { worldSize: 1, rank: 1 },
      "expected a number below the world size, 1 for `distributed.rank`, received 1; ranks count from 0.",
    ],
    [
      { nprocPerNode: 2, rank: 0 },
      "expected the number of machines for `distributed.worldSize`, received none beside `distributed.rank`; add it.",
    ],
    [
      { nprocPerNode: 2, worldSize: 2, url },
      "expected this machine's number, from 0 to 1 for `distributed.rank`, received none beside `distributed.worldSize`; add it.",
    ],
    [
      { multiprocessing: true, worldSize: 2, rank: 1 },
      "expected tcp://HOST:PORT of the first machine, the same for all for `distributed.url`, received none beside `distributed.worldSize`; add it.",
    ],
    [
      { nprocPerNode: 2, worldSize: 2, rank: 2, url },
      "expected a number below the world size, 2 for `distributed.rank`, received 2; ranks count from 0.",
    ],
    [
      { nprocPerNode: 2, backend: "nccl" },
      "expected gloo on a machine without CUDA devices for `distributed.backend`, received nccl; leave it out.",
    ],
  ])("%j", (settings, message) => expect(refusalOf(settings)).toBe(message));

  it("env:// without such an environment", () => {
    expect(refusalOf({ url: "env://" })).toMatch(/^expected tcp:\/\/HOST:PORT where the environment has no RANK, /);
    expect(refusalOf({ url: "env://", nprocPerNode: 2 })).toMatch(/^expected tcp:\/\/HOST:PORT where the environment/);
    expect(refusalOf({}, { RANK: "1" })).toMatch(/expected a value, as RANK is set for WORLD_SIZE, received none/);
  });

  it("processes of ours beside those that torchrun or srun starts on a machine", () => {
    const message =
      "expected none where torchrun or srun starts a machine's processes for `distributed.nprocPerNode` or `distributed.multiprocessing`, received it; leave it out, or give `distributed.worldSize` 1 to ignore the launcher's environment.";
    expect(refusalOf({ nprocPerNode: 2 }, torchrun)).toBe(message);
    expect(refusalOf({ nprocPerNode: 2 }, { ...pod, LOCAL_WORLD_SIZE: "2" })).toBe(message);
    expect(refusalOf({ multiprocessing: true }, { ...pod, TORCHELASTIC_USE_AGENT_STORE: "True" })).toBe(message);
    const batch = { ...slurm, ...job, SLURM_PROCID: "0", SLURM_LOCALID: "0", SLURM_NNODES: "2" };
    expect(refusalOf({ nprocPerNode: 2 }, batch)).toBe(message);
  });

  it("restarts by a process that starts no others, or of several machines", () => {
    expect(refusalOf({ maxRestarts: 1 })).toMatch(
      /^expected 0 where this command starts no other processes for `distributed.max/,
    );
    expect(refusalOf({ maxRestarts: 2 }, torchrun)).toMatch(/^expected 0 where this command starts no other/);
    expect(refusalOf({ nprocPerNode: 2, worldSize: 2, rank: 0, url, maxRestarts: 1 })).toMatch(
      /^expected 0 with several machines for `distributed.maxRestarts`, received 1; /,
    );
  });
});
