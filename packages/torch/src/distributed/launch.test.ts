import { UserError } from "@peekaboo/files/errors";
import { describe, expect, it } from "vitest";
import { environmentOf } from "./launch.js";
import { firstHostOf } from "./slurm.js";

const torchrun = { RANK: "5", WORLD_SIZE: "8", LOCAL_RANK: "1", MASTER_ADDR: "node0", MASTER_PORT: "29500" };
const pod = {
  PET_NNODES: "4",
  PET_NODE_RANK: "3",
  PET_NPROC_PER_NODE: "1",
  PET_MASTER_ADDR: "job-0.job",
  PET_MASTER_PORT: "29400",
};
const slurm = {
  SLURM_PROCID: "6",
  SLURM_NTASKS: "8",
  SLURM_LOCALID: "2",
  SLURM_JOB_NODELIST: "gpu[07-09,12],login",
  SLURM_JOB_ID: "1234567",
};
const without = (env: Record<string, string>, name: string) =>
  Object.fromEntries(Object.entries(env).filter(([key]) => key !== name));

describe("environmentOf", () => {
  it("is null where no launcher was, whatever address is set", () => {
    expect(environmentOf({ PATH: "/bin" })).toBeNull();
    expect(environmentOf({ MASTER_ADDR: "node0", MASTER_PORT: "1", RANK: "" })).toBeNull();
  });

  it("reads torchrun's, which may serve the store and have started the job again", () => {
    const place = { rank: 5, worldSize: 8, localRank: 1, masterAddr: "node0", masterPort: 29500 };
    expect(environmentOf(torchrun)).toEqual({ ...place, restarts: 0, launcherServesStore: false });
    const again = { TORCHELASTIC_RESTART_COUNT: "2", TORCHELASTIC_USE_AGENT_STORE: "True" };
    expect(environmentOf({ ...torchrun, ...again })).toEqual({ ...place, restarts: 2, launcherServesStore: true });
  });

  it.each([
    ["[::1]", "::1"],
    ["::1", "::1"],
    ["[fe80::1%eth0]", "fe80::1%eth0"],
    ["10.0.0.1", "10.0.0.1"],
    ["node-0.cluster", "node-0.cluster"],
  ])("reads the address %s", (MASTER_ADDR, masterAddr) => {
    expect(environmentOf({ ...torchrun, MASTER_ADDR })).toMatchObject({ masterAddr });
    expect(environmentOf({ ...slurm, MASTER_ADDR })).toMatchObject({ masterAddr });
    expect(environmentOf({ ...pod, PET_MASTER_ADDR: MASTER_ADDR })).toMatchObject({ masterAddr });
  });

  it.each(["[::1]:29500", "tcp://node0", "[node0]", "[10.0.0.1]", "node0:29500", "a b", "::g", "\u001b[0m"])(
    "refuses the address %j",
    (MASTER_ADDR) =>
      expect(() => environmentOf({ ...torchrun, MASTER_ADDR })).toThrow(
        /^read the launcher's environment: expected a host name or an address, without a port for MASTER_ADDR, received "[ -~]+"\.$/,
      ),
  );

  it("reads PyTorchJob's and Trainer's", () => {
    const place = { rank: 3, worldSize: 4, localRank: 0, masterAddr: "job-0.job", masterPort: 29400 };
    expect(environmentOf(pod)).toMatchObject(place);
    expect(environmentOf({ ...pod, PET_NNODES: "4:4" })).toMatchObject(place);
    const job = { RANK: "3", WORLD_SIZE: "4", MASTER_ADDR: "job-master-0", MASTER_PORT: "23456" };
    expect(environmentOf({ ...pod, ...job })).toMatchObject({
      ...place,
      masterAddr: "job-master-0",
      masterPort: 23456,
    });
    const started = { ...pod, PET_NPROC_PER_NODE: "2", ...torchrun };
    expect(environmentOf(started)).toMatchObject({ rank: 5, worldSize: 8, localRank: 1, masterAddr: "node0" });
  });

  it("reads Slurm's: the first host, and a port of the job's number", () => {
    const place = { rank: 6, worldSize: 8, localRank: 2, masterAddr: "gpu07", masterPort: 24567, restarts: 0 };
    expect(environmentOf(slurm)).toEqual({ ...place, launcherServesStore: false });
    const given = { MASTER_ADDR: "10.0.0.1", MASTER_PORT: "4000", SLURM_RESTART_COUNT: "1" };
    expect(environmentOf({ ...slurm, ...given })).toMatchObject({
      masterAddr: "10.0.0.1",
      masterPort: 4000,
      restarts: 1,
    });
    expect(environmentOf({ ...without(slurm, "SLURM_JOB_NODELIST"), SLURM_NODELIST: "a1" })).toMatchObject({
      masterAddr: "a1",
    });
  });

  it.each([
    [
      "no world size",
      without(torchrun, "WORLD_SIZE"),
      /expected a value, as RANK is set for WORLD_SIZE, received none/,
    ],
    ["no rank", without(torchrun, "RANK"), /for RANK, received none/],
    ["no address", without(torchrun, "MASTER_ADDR"), /for MASTER_ADDR, received none/],
    ["no port", without(torchrun, "MASTER_PORT"), /for MASTER_PORT, received none/],
    ["a rank beyond the world", { ...torchrun, RANK: "8" }, /expected ranks below the world size, 8/],
    ["a rank that is no number", { ...torchrun, RANK: "-1" }, /from 0 to 2147483647 for RANK, received "-1"/],
    ["no such port", { ...torchrun, MASTER_PORT: "70000" }, /from 1 to 65535 for MASTER_PORT, received "70000"/],
    ["a world of another size", { ...torchrun, ...pod }, /expected 4, as PET_NNODES × PET_NPROC_PER_NODE says/],
    ["a pod for two processes", { ...pod, PET_NPROC_PER_NODE: "2" }, /PET_NPROC_PER_NODE is 2 for LOCAL_RANK/],
    ["a range of nodes", { ...pod, PET_NNODES: "1:4" }, /expected one number each .* received 1:4 and 1/],
    ["half a pod", without(pod, "PET_NODE_RANK"), /for PET_NODE_RANK, received none/],
    ["half of Slurm", without(slurm, "SLURM_NTASKS"), /for SLURM_NTASKS, received none/],
    ["Slurm without a job", without(slurm, "SLURM_JOB_ID"), /for MASTER_PORT or SLURM_JOB_ID, received none/],
    ["no node list", without(slurm, "SLURM_JOB_NODELIST"), /for SLURM_JOB_NODELIST, received none/],
  ])("refuses %s", (_, env, message) => {
    expect(() => environmentOf(env)).toThrow(UserError);
    expect(() => environmentOf(env)).toThrow(message);
  });
});

describe("firstHostOf", () => {
  it.each([
    ["node1", "node1"],
    ["node1,node2", "node1"],
    ["node[01-04]", "node01"],
    ["node[7,9-11]-ib.cluster,other[1-2]", "node7-ib.cluster"],
    ["rack[1-2]n[004-005]", "rack1n004"],
  ])("of %s is %s", (list, host) => expect(firstHostOf(list)).toBe(host));

  it.each(["node[", "node[a-b]", "node[]", ",node1", "", "no de", "a;rm"])("refuses %j", (list) =>
    expect(() => firstHostOf(list)).toThrow(UserError),
  );
});
