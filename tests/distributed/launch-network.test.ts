// Two machines, as far as their network goes: two network namespaces with a cable between. It needs root and `ip netns`.
import { spawnSync } from "node:child_process";
import { afterAll, afterEach, expect, it } from "vitest";
import { sharedFolder } from "../support/folder.js";
import { noted, Supervisor, type SupervisorRun } from "../support/launch.js";

const MACHINES = [0, 1].map((machine) => ({
  name: `peekaboo-${process.pid}-${machine}`,
  host: `10.200.0.${machine + 1}`,
}));
const CABLE = "cable";
const PORT = 29_555;
const REDUCE = "const sum = (await group.allReduce(Tensor.of([rank + 1]))).item();";

const folder = sharedFolder();
const started: Supervisor[] = [];

function ip(...args: string[]): boolean {
  return spawnSync("ip", args, { stdio: "ignore" }).status === 0;
}

function connectMachines(): boolean {
  const [first, second] = MACHINES.map(({ name }) => name);
  if (process.getuid?.() !== 0 || first === undefined || second === undefined) return false;
  if (!ip("netns", "add", first) || !ip("netns", "add", second)) return false;
  const laid = ip("-n", first, "link", "add", CABLE, "type", "veth", "peer", "name", CABLE, "netns", second);
  const up = MACHINES.map(
    ({ name, host }) =>
      ip("-n", name, "addr", "add", `${host}/24`, "dev", CABLE) &&
      ip("-n", name, "link", "set", CABLE, "up") &&
      ip("-n", name, "link", "set", "lo", "up"),
  );
  return laid && up.every(Boolean);
}

const connected = connectMachines();

afterEach(async () => {
  for (const { child } of started) if (child.exitCode === null) child.kill("SIGKILL");
  await Promise.all(started.splice(0).map(({ ended }) => ended));
});
afterAll(() => {
  for (const { name } of MACHINES) ip("netns", "del", name);
});

function startBoth(body: string, options: Partial<SupervisorRun> = {}): Supervisor[] {
  const address = { host: "10.200.0.1", port: PORT };
  return MACHINES.map(({ name }, machine) => {
    const through = ["ip", "netns", "exec", name];
    const env = { GLOO_SOCKET_IFNAME: CABLE };
    const place = { processes: 1, machines: 2, machine, address };
    const supervisor = new Supervisor({ body, folder, ...place, through, env, ...options });
    started.push(supervisor);
    return supervisor;
  });
}

it.skipIf(!connected)("machines compute together, and stop with a sentence when the cable is cut", async () => {
  const jobs = startBoth(`for (;;) { ${REDUCE} note("sum", sum); await sleep(5); }`, { timeout: 3, startTimeout: 60 });
  expect([await noted(folder, "sum-0"), await noted(folder, "sum-1")]).toEqual(["3", "3"]);
  expect(ip("-n", MACHINES[0]?.name ?? "", "link", "set", CABLE, "down")).toBe(true);
  const outcomes = await Promise.all(jobs.map(({ ended }) => ended));
  for (const [rank, { status, stderr }] of outcomes.entries()) {
    expect(stderr).toMatch(/^(\[rank 1\] )?allReduce: .*\.\n/);
    expect(stderr).toMatch(new RegExp(`\ntrain: rank ${rank} ended with exit status 1\\.\n$`));
    expect([status, stderr.split("\n")].flat()).toEqual([1, expect.any(String), expect.any(String), ""]);
  }
  expect(outcomes[0]?.stderr).toContain("nothing was heard of rank 1 for ");
});
