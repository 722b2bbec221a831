import { describe, expect, it } from "vitest";
import { cores, type Machine, memoryLimits } from "./cores.js";

const GIBIBYTE = 2 ** 30;

/** A machine of eight processors and 16 GiB with these files, whose texts end in a line feed as the kernel's do. */
function machine(files: Record<string, string>, env: Machine["env"] = {}): Machine {
  const all: Record<string, string> = {
    "/proc/self/status": "Name:\tnode\nCpus_allowed:\tff\nCpus_allowed_list:\t0-7",
    "/sys/devices/system/cpu/online": "0-7",
    ...files,
  };
  const read = (path: string) => (all[path] === undefined ? undefined : `${all[path]}\n`);
  return { env, processors: 8, memory: 16 * GIBIBYTE, read };
}

const mount = (version: 1 | 2, point: string, { root = "/", controllers = "" } = {}) =>
  version === 2
    ? `30 22 0:27 ${root} ${point} rw,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate`
    : `31 30 0:28 ${root} ${point} rw,nosuid - cgroup cgroup rw,${controllers}`;

/** Files of version 2, mounted where it usually is, with the process in `path`. */
const unified = (path: string, files: Record<string, string>, root = "/") => ({
  "/proc/self/cgroup": `0::${path}`,
  "/proc/self/mountinfo": `21 26 0:20 / /proc rw - proc proc rw\n${mount(2, "/sys/fs/cgroup", { root })}`,
  ...Object.fromEntries(Object.entries(files).map(([name, text]) => [`/sys/fs/cgroup${name}`, text])),
});

/** Files of version 1: a hierarchy of CPU time and one of memory. */
const legacy = (path: string, files: Record<string, string>, root = "/") => ({
  "/proc/self/cgroup": `12:pids:/x\n4:memory:${path}\n3:cpu,cpuacct:${path}\n1:name=systemd:/`,
  "/proc/self/mountinfo": [
    mount(1, "/sys/fs/cgroup/cpu,cpuacct", { root, controllers: "cpu,cpuacct" }),
    mount(1, "/sys/fs/cgroup/memory", { root, controllers: "memory" }),
    mount(1, "/sys/fs/cgroup/systemd", { controllers: "xattr,name=systemd" }),
  ].join("\n"),
  ...Object.fromEntries(Object.entries(files).map(([name, text]) => [`/sys/fs/cgroup/${name}`, text])),
});

const QUOTA = "the CPU quota of its cgroup";
const ALL = { count: 8, why: "the machine's processors", ignored: [] };
const quota = (count: number) => ({ count, why: QUOTA, ignored: [] });

describe("the CPU quota of a cgroup", () => {
  it.each([
    ["4 of version 2", unified("/a", { "/a/cpu.max": "400000 100000" }), quota(4)],
    ["2.9, which is 2", unified("/a", { "/a/cpu.max": "290000 100000" }), quota(2)],
    ["half a processor, which is 1", unified("/a", { "/a/cpu.max": "50000 100000" }), quota(1)],
    ["another period", unified("/a", { "/a/cpu.max": "60000 20000" }), quota(3)],
    ["none", unified("/a", { "/a/cpu.max": "max 100000" }), ALL],
    ["more than there are", unified("/a", { "/a/cpu.max": "6400000 100000" }), ALL],
    ["a parent's", unified("/a/b/c", { "/a/b/c/cpu.max": "max 100000", "/a/cpu.max": "300000 100000" }), quota(3)],
    [
      "its own below a parent's",
      unified("/a/b", { "/a/b/cpu.max": "100000 100000", "/a/cpu.max": "300000 100000" }),
      quota(1),
    ],
    ["the root's, in a namespace", unified("/", { "/cpu.max": "200000 100000" }), quota(2)],
    [
      "a container's, whose path is the host's and whose mount begins there",
      unified("/docker/abc", { "/cpu.max": "200000 100000" }, "/docker/abc"),
      quota(2),
    ],
    [
      "one below where the mount begins",
      unified("/docker/abc/x", { "/x/cpu.max": "500000 100000", "/cpu.max": "600000 100000" }, "/docker/abc"),
      quota(5),
    ],
    [
      "a container's, whose path isn't mounted",
      unified("/../../host.slice", { "/cpu.max": "200000 100000" }),
      quota(2),
    ],
    ["a path that is not there", unified("/docker/abc", { "/cpu.max": "200000 100000" }), quota(2)],
    [
      "4 of version 1",
      legacy("/a", { "cpu,cpuacct/a/cpu.cfs_quota_us": "400000", "cpu,cpuacct/a/cpu.cfs_period_us": "100000" }),
      quota(4),
    ],
    [
      "none of version 1",
      legacy("/a", { "cpu,cpuacct/a/cpu.cfs_quota_us": "-1", "cpu,cpuacct/a/cpu.cfs_period_us": "100000" }),
      ALL,
    ],
    [
      "a parent's of version 1",
      legacy("/a/b", {
        "cpu,cpuacct/a/b/cpu.cfs_quota_us": "-1",
        "cpu,cpuacct/a/b/cpu.cfs_period_us": "100000",
        "cpu,cpuacct/a/cpu.cfs_quota_us": "150000",
        "cpu,cpuacct/a/cpu.cfs_period_us": "50000",
      }),
      quota(3),
    ],
    [
      "a container's of version 1",
      legacy(
        "/docker/abc",
        { "cpu,cpuacct/cpu.cfs_quota_us": "200000", "cpu,cpuacct/cpu.cfs_period_us": "100000" },
        "/docker/abc",
      ),
      quota(2),
    ],
    [
      "a hybrid's of version 1",
      {
        "/proc/self/cgroup": "3:cpu:/a\n0::/b",
        "/proc/self/mountinfo": `${mount(1, "/sys/fs/cgroup/cpu", { controllers: "cpu" })}\n${mount(2, "/sys/fs/cgroup/unified")}`,
        "/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us": "300000",
        "/sys/fs/cgroup/cpu/a/cpu.cfs_period_us": "100000",
        "/sys/fs/cgroup/unified/b/cgroup.procs": "1",
      },
      quota(3),
    ],
    [
      "not that of another container, mounted beside its own",
      {
        ...unified("/a", { "/a/cpu.max": "500000 100000" }),
        "/proc/self/mountinfo": `${mount(2, "/other", { root: "/b" })}\n${mount(2, "/sys/fs/cgroup")}`,
        "/other/cpu.max": "100000 100000",
      },
      quota(5),
    ],
    [
      "a mount with a space in its name",
      {
        "/proc/self/cgroup": "0::/a b",
        "/proc/self/mountinfo": mount(2, "/my\\040cgroups"),
        "/my cgroups/a b/cpu.max": "100000 100000",
      },
      quota(1),
    ],
  ])("%s", (_, files, expected) => {
    expect(cores(1, machine(files))).toEqual(expected);
  });

  it.each([
    ["", "", ""],
    ["0::", "garbage", "x y"],
    ["0::/a", "- cgroup2 cgroup2 rw", "100000"],
    ["0::/a", mount(2, "/sys/fs/cgroup"), "0 100000"],
    ["0::/a", mount(2, "/sys/fs/cgroup"), "100000 0"],
    ["0::/a", mount(2, "/sys/fs/cgroup"), "-5 100000"],
    ["0::/a", mount(2, "/sys/fs/cgroup"), "1e5 1e5"],
    ["\u0000::\n9:::", `${mount(2, "/sys/fs/cgroup")} \n\n - `, "NaN NaN"],
  ])("is none where the files are garbage: %j, %j, %j", (cgroup, mounts, max) => {
    const files = { "/proc/self/cgroup": cgroup, "/proc/self/mountinfo": mounts, "/sys/fs/cgroup/a/cpu.max": max };
    expect(cores(1, machine(files))).toEqual(ALL);
  });
});

describe("the processors that a process may run on", () => {
  it.each([
    ["0-3", "0-7", 4],
    ["1,3,5-6", "0-7", 4],
    ["7", "0-7", 1],
    ["0-127", "0-7", 8],
  ])("%s of %s are %d", (allowed, online, count) => {
    const files = { "/proc/self/status": `Cpus_allowed_list:\t${allowed}`, "/sys/devices/system/cpu/online": online };
    const why = count === 8 ? ALL.why : "the processors that it may run on";
    expect(cores(1, machine(files))).toEqual({ count, why, ignored: [] });
  });

  it("are what Node says where the system doesn't tell", () => {
    for (const text of ["", "Cpus_allowed_list:\t", "Cpus_allowed_list:\tx-y"]) {
      expect(cores(1, machine({ "/proc/self/status": text })).count).toBe(8);
    }
    expect(cores(1, { env: {}, processors: 3, memory: 1, read: () => undefined })).toEqual({ ...ALL, count: 3 });
  });

  it("and a quota: the less counts", () => {
    const files = unified("/a", { "/a/cpu.max": "300000 100000" });
    expect(cores(1, machine({ ...files, "/proc/self/status": "Cpus_allowed_list:\t0-1" })).count).toBe(2);
    expect(cores(1, machine({ ...files, "/proc/self/status": "Cpus_allowed_list:\t0-3" }))).toEqual(quota(3));
  });
});

describe("several processes", () => {
  it("share what there is, with at least one each", () => {
    const shared = (processes: number) => cores(processes, machine(unified("/a", { "/a/cpu.max": "700000 100000" })));
    expect(shared(2)).toEqual({ count: 3, why: `${QUOTA}, shared by 2 processes`, ignored: [] });
    expect(shared(9).count).toBe(1);
  });
});

describe("OpenMP's variables", () => {
  const asked = (env: Machine["env"], processes = 1) => cores(processes, machine({}, env));

  it.each([
    ["4", 4],
    [" 12 ", 12],
    ["3,2", 3],
    ["3 , 2,1", 3],
    ["5000", 1024],
  ])("OMP_NUM_THREADS=%s: %d, of each process", (text, count) => {
    for (const processes of [1, 2]) {
      expect(asked({ OMP_NUM_THREADS: text }, processes)).toEqual({ count, why: "OMP_NUM_THREADS", ignored: [] });
    }
  });

  it.each(["0", "-1", "x", "1.5", "2,x", ",", "0x2", "1e1"])("OMP_NUM_THREADS=%s is passed over, and told", (text) => {
    expect(asked({ OMP_NUM_THREADS: text })).toEqual({
      ...ALL,
      ignored: [`OMP_NUM_THREADS is "${text}", which is no number of threads`],
    });
  });

  it("an empty one says nothing", () => expect(asked({ OMP_NUM_THREADS: " " })).toEqual(ALL));

  it("OMP_THREAD_LIMIT is the most, whoever says how many", () => {
    const limited = { count: 2, why: "OMP_THREAD_LIMIT", ignored: [] };
    expect(asked({ OMP_THREAD_LIMIT: "2" })).toEqual(limited);
    expect(asked({ OMP_THREAD_LIMIT: "2", OMP_NUM_THREADS: "4" })).toEqual(limited);
    expect(asked({ OMP_THREAD_LIMIT: "64" })).toEqual(ALL);
  });
});

describe("limits of memory", () => {
  it("are a cgroup's and its parents', where they are below the machine's memory", () => {
    const files = unified("/a/b", {
      "/a/b/memory.max": "max",
      "/a/b/memory.high": `${3 * GIBIBYTE}`,
      "/a/b/memory.current": "1000",
      "/a/memory.max": `${4 * GIBIBYTE}`,
      "/a/memory.current": "2000",
      "/memory.max": `${32 * GIBIBYTE}`,
      "/memory.current": "3000",
    });
    const at = (folder: string) => ({ usage: `${folder}/memory.current`, stat: `${folder}/memory.stat` });
    expect(memoryLimits(machine(files))).toEqual([
      { limit: 3 * GIBIBYTE, ...at("/sys/fs/cgroup/a/b") },
      { limit: 4 * GIBIBYTE, ...at("/sys/fs/cgroup/a") },
    ]);
  });

  it("are read of version 1, whose largest number is none", () => {
    const files = legacy("/a", {
      "memory/a/memory.limit_in_bytes": "9223372036854771712",
      "memory/a/memory.usage_in_bytes": "1000",
      "memory/memory.limit_in_bytes": `${GIBIBYTE}`,
      "memory/memory.usage_in_bytes": "1000",
    });
    const folder = "/sys/fs/cgroup/memory";
    const limit = { limit: GIBIBYTE, usage: `${folder}/memory.usage_in_bytes`, stat: `${folder}/memory.stat` };
    expect(memoryLimits(machine(files))).toEqual([limit]);
  });

  it("are none where nothing can be read, or what is in use can't", () => {
    expect(memoryLimits(machine({}))).toEqual([]);
    expect(memoryLimits(machine(unified("/a", { "/a/memory.max": "1000" })))).toEqual([]);
  });
});
