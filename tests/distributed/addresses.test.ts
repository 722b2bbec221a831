// The ways to write where rank 0 listens, and who can reach it there.
import { createServer } from "node:net";
import { networkInterfaces } from "node:os";
import { distributed } from "@peekaboo/torch";
import { expect, it } from "vitest";
import { listenersOf } from "../faults/sockets.js";
import { freePort, RankProcess } from "../support/ranks.js";

const hasIPv6 = await new Promise<boolean>((resolve) => {
  const server = createServer().once("error", () => resolve(false));
  server.listen(0, "::1", () => server.close(() => resolve(true)));
});

const BODY = (options: string) => `
  const group = await join(${options});
  const sum = (await group.allReduce(Tensor.of([rank + 1]))).item();
  console.log("together");
  await group.store.wait(["over"]);
  await group.barrier();
  group.destroy();
  return sum;`;

it.each([
  ["a name", "tcp://localhost", {}],
  ["an IPv6 address", "tcp://[::1]", {}],
  ["MASTER_ADDR with one in brackets", "env://", { MASTER_ADDR: "[::1]" }],
])("ranks meet at %s of this machine, which no other can reach", async (_, url, more: Record<string, string>) => {
  const port = await freePort();
  const needsIPv6 = `${url} ${more.MASTER_ADDR}`.includes("::1");
  if (needsIPv6 && !hasIPv6) return console.warn("skipped: this machine has no IPv6 loopback address");
  const initMethod = JSON.stringify(url === "env://" ? url : `${url}:${port}`);
  const ranks = [0, 1].map((rank) => {
    const place = { RANK: `${rank}`, WORLD_SIZE: "2", MASTER_PORT: `${port}` };
    // Where there is no such interface, who asked for it would fail.
    const env = { ...more, ...place, GLOO_SOCKET_IFNAME: "no-such-interface" };
    return new RankProcess(BODY(`{ initMethod: ${initMethod} }`), { port, rank, worldSize: 2, env });
  });
  await Promise.all(ranks.map((rank) => rank.says("together")));
  const listeners = ranks.flatMap(({ child }) => listenersOf(Number(child.pid)));
  expect(listeners.filter(({ loopback }) => !loopback)).toEqual([]);
  expect(listeners.map((one) => one.port)).toContain(port);
  await tellOver(port, "127.0.0.1", "::1");
  for (const { answer, status, stderr } of await Promise.all(ranks.map(({ outcome }) => outcome))) {
    expect([answer, status, stderr]).toEqual([3, 0, ""]);
  }
});

it("ranks meet in the store of a launcher that serves it, as torchrun may", async () => {
  const where = { hosts: ["127.0.0.1"], port: 0, serve: true, timeoutMs: 20_000, foreign: true };
  using store = await distributed.Store.open(where);
  const { port } = store;
  const ranks = [0, 1].map((rank) => {
    const place = { RANK: `${rank}`, WORLD_SIZE: "2", MASTER_ADDR: "127.0.0.1", MASTER_PORT: `${port}` };
    const env = { ...place, TORCHELASTIC_USE_AGENT_STORE: "True" };
    return new RankProcess(BODY('{ initMethod: "env://" }'), { port, rank, worldSize: 2, env });
  });
  await Promise.all(ranks.map((rank) => rank.says("together")));
  await store.set("over", "");
  for (const { outcome } of ranks) expect(await outcome).toMatchObject({ answer: 3, status: 0, stderr: "" });
});

const outer = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .find(({ family, internal }) => family === "IPv4" && !internal);

it.skipIf(outer === undefined)(
  "ranks that LOCAL_WORLD_SIZE tells to be of one machine talk over its loopback interface",
  async () => {
    const port = await freePort();
    const address = outer?.address ?? "";
    const ranks = [0, 1].map((rank) => {
      const place = { RANK: `${rank}`, LOCAL_RANK: `${rank}`, WORLD_SIZE: "2", LOCAL_WORLD_SIZE: "2" };
      const env = { ...place, MASTER_ADDR: address, MASTER_PORT: `${port}`, GLOO_SOCKET_IFNAME: "no-such-interface" };
      return new RankProcess(BODY('{ initMethod: "env://" }'), { port, rank, worldSize: 2, env });
    });
    await Promise.all(ranks.map((rank) => rank.says("together")));
    const others = ranks.flatMap(({ child }) => listenersOf(Number(child.pid))).filter(({ loopback }) => !loopback);
    // The store, where it was told to be.
    expect(others).toEqual([{ address: digits(address), port, loopback: false }]);
    await tellOver(port, address);
    for (const { outcome } of ranks) expect(await outcome).toMatchObject({ answer: 3, status: 0, stderr: "" });
  },
);

/** As /proc writes it: from the last part to the first. */
function digits(address: string): string {
  const parts = address.split(".").map((part) => Number(part).toString(16).padStart(2, "0"));
  return parts.reverse().join("").toUpperCase();
}

async function tellOver(port: number, ...hosts: string[]): Promise<void> {
  using store = await distributed.Store.open({ hosts, port, serve: false, timeoutMs: 20_000 });
  await store.set("over", "");
}
