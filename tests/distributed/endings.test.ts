// A job ends whatever strangers and its own ranks do.
import { writeFileSync } from "node:fs";
import { expect } from "vitest";
import { connected, listenersOf, memoryOf } from "../faults/sockets.js";
import { isAlive, it, noted } from "../support/launch.js";

const REDUCE = "const sum = (await group.allReduce(Tensor.of([rank + 1]))).item();";
const SAVES = `const guard = new InterruptGuard();
  note("ready", "x");
  for (;;) { try { await guard.check(); } catch (error) { note("saved", error.signal); throw error; } await sleep(5); }`;

it("a job ends while strangers hold its ports, which are of the loopback interface alone", async ({
  folder,
  start,
}) => {
  const body = `${REDUCE} note("sum", sum); while (!existsSync(folder + "/go")) await sleep(5); await group.barrier(); return 0;`;
  const job = start(body, { env: { GLOO_SOCKET_IFNAME: "no-such-interface" } });
  await Promise.all([0, 1].map((rank) => noted(folder, `sum-${rank}`)));
  const pids = [Number(await noted(folder, "pid-0")), Number(await noted(folder, "pid-1"))];
  const listeners = pids.flatMap(listenersOf);
  expect(listeners.filter(({ loopback }) => !loopback)).toEqual([]);
  const before = memoryOf(pids[0] ?? 0);
  const sockets = [];
  for (const { port } of listeners) {
    for (const bytes of ["pe", new Uint8Array(20).fill(192), "GET / HTTP/1.1\r\n\r\n"]) {
      sockets.push(await connected(port, bytes));
    }
  }
  expect(sockets.length).toBeGreaterThan(0);
  expect(memoryOf(pids[0] ?? 0) - before).toBeLessThan(64 << 20);
  writeFileSync(`${folder}/go`, "");
  const { status, stderr } = await job.ended;
  for (const socket of sockets) socket.destroy();
  expect([status, stderr]).toEqual([0, ""]);
});

it.for([
  ["follows SIGTERM", ""],
  ["has to be killed", `process.on("SIGTERM", () => {});`],
])(
  "a rank that stays when another has come to its end, and %s, fails the job",
  async ([_, ignore], { folder, start }) => {
    const job = start(`${REDUCE} if (rank === 0) { ${ignore} await forever(); } return 0;`, { saveMs: 500 });
    const { status, stderr } = await job.ended;
    expect([status, stderr]).toEqual([
      1,
      "train: rank 0 did not end when another rank had, and had to be stopped; no process of this machine is left.\n",
    ]);
    expect(isAlive(Number(await noted(folder, "pid-0")))).toBe(false);
  },
);

it("a rank that does not follow SIGTERM is killed, and the others may save", async ({ folder, start }) => {
  const stays = `process.on("SIGTERM", () => {}); note("ready", "x"); await forever();`;
  const job = start(`if (rank === 1) { ${stays} } ${SAVES}`, { saveMs: 1000 });
  await Promise.all([0, 1].map((rank) => noted(folder, `ready-${rank}`)));
  job.child.kill("SIGTERM");
  const stderr = "train: rank 1 did not stop and had to be killed.\n";
  expect(await job.ended).toMatchObject({ status: 143, stderr });
  expect(await noted(folder, "saved-0")).toBe("SIGTERM");
  expect(isAlive(Number(await noted(folder, "pid-1")))).toBe(false);
});
