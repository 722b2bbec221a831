import { createHash } from "node:crypto";
import type { Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { connected, hungUp, listenersOf, memoryOf, STRANGERS, Stranger } from "../../../../tests/faults/sockets.js";
import { DistributedError } from "../errors.js";
import { Store, type StoreOptions } from "./store.js";

const HELLO = `peekaboo store 1${createHash("sha256").update("secret").digest("hex")}`;
const open: (Store | Stranger)[] = [];

afterEach(() => {
  for (const one of open.splice(0)) one instanceof Store ? one.close() : one.stop();
});

async function opened(options: Partial<StoreOptions> = {}): Promise<Store> {
  const store = await Store.open({
    ...{ hosts: ["127.0.0.1"], port: 0, serve: true, timeoutMs: 20_000, token: "secret" },
    ...options,
  });
  open.push(store);
  return store;
}

const clientOf = ({ port }: Store, options: Partial<StoreOptions> = {}) => opened({ serve: false, port, ...options });

async function refusal(options: Partial<StoreOptions>): Promise<string> {
  const error: unknown = await opened({ serve: false, ...options }).catch((e) => e);
  if (!(error instanceof DistributedError)) throw error;
  return error.message;
}

describe("a store", () => {
  it("is one map for all who connect", async () => {
    const served = await opened();
    const client = await clientOf(served);
    await client.set("key", "välue\0");
    expect([await served.get("key"), await served.get("other")]).toEqual(["välue\0", null]);
    expect([await client.add("n", 5), await served.add("n", -7), await client.get("n")]).toEqual([5, -2, "-2"]);
    expect([await served.delete("key"), await client.delete("key"), await client.get("key")]).toEqual([
      true,
      false,
      null,
    ]);
    expect(await client.missing(["n", "a", "b"], { timeoutMs: 5 })).toEqual([1, 2]);
    await expect(client.wait(["a"], { timeoutMs: 5 })).rejects.toThrow("store wait: nobody set a within 5 ms");
    const waits = client.wait(["a", "b"]);
    await served.set("a", "");
    await served.set("b", "");
    await waits;
  });

  it("carries a megabyte, refuses more than four, and adds whole numbers only", async () => {
    const served = await opened();
    const text = "x".repeat(1 << 20);
    await served.set("long", text);
    expect(await (await clientOf(served)).get("long")).toBe(text);
    await expect(served.set("longer", "x".repeat(5 << 20))).rejects.toThrow("no more than 4 MB at a time");
    await expect(served.add("long", 1)).rejects.toThrow("only whole numbers of 64 bits can be added");
    expect(await served.get("longer")).toBeNull();
  });

  it("listens at the addresses that it is given, and everywhere only when none of them is this machine's", async () => {
    const before = listenersOf(process.pid);
    const fresh = () => listenersOf(process.pid).filter((one) => !before.some(({ port }) => port === one.port));
    const first = await opened();
    expect(fresh()).toEqual([expect.objectContaining({ port: first.port, loopback: true })]);
    first.close();
    const second = await opened({ hosts: ["192.0.2.1"] });
    expect(fresh()).toEqual([expect.objectContaining({ port: second.port, loopback: false })]);
    expect(await second.get("key")).toBeNull();
  });

  it("tells that its port is taken", async () => {
    const { port } = await opened();
    await expect(opened({ port })).rejects.toThrow("open the store: EADDRINUSE");
  });

  it("ends what its clients wait for when it closes, and what it waits for itself", async () => {
    const served = await opened();
    const client = await clientOf(served);
    const waits = expect(client.wait(["a"])).rejects.toThrow("store wait: the store has closed the connection");
    const own = expect(served.wait(["a"])).rejects.toThrow("the store was closed");
    // Both are asking by then, or about to, which ends alike.
    await new Promise((resolve) => setTimeout(resolve, 20));
    served.close();
    await Promise.all([waits, own]);
  });
});

describe("a store among strangers", () => {
  const length = (count: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(count);
    return bytes;
  };
  const frame = (...parts: Uint8Array[]) => Buffer.concat([length(Buffer.concat(parts).length), ...parts]);

  it.each<[string, Uint8Array | string]>([
    ["an HTTP request", "GET / HTTP/1.1\r\n\r\n"],
    ["zeros", new Uint8Array(100)],
    ["a request of libtorch's for 3 GB", Uint8Array.of(0, 4, 0, 0, 0, 0, 0, 0, 0, 107, 101, 121, 49, 0, 0, 0, 192)],
    ["another token", `peekaboo store 1${"0".repeat(64)}`],
    ["a request of 4 GB", Buffer.concat([Buffer.from(HELLO), length(2 ** 32 - 1)])],
    ["an empty request", Buffer.concat([Buffer.from(HELLO), length(0)])],
    ["a key beyond its request", Buffer.concat([Buffer.from(HELLO), frame(Buffer.from("S"), length(1000))])],
  ])("hangs up on %s", async (_, bytes) => {
    const served = await opened();
    await hungUp(await connected(served.port, bytes));
    await served.set("key", "value");
    expect(await served.get("key")).toBe("value");
  });

  it("goes on, stays small and can end while many say little, or too much", { timeout: 60_000 }, async () => {
    const served = await opened();
    const before = memoryOf(process.pid);
    const halves = ["", "pe", HELLO, `${HELLO}\x10`, Buffer.concat([Buffer.from(HELLO), length(1 << 20), length(1)])];
    const sockets: Socket[] = [];
    for (let i = 0; i < 500; i++) sockets.push(await connected(served.port, halves[i % halves.length]));
    // Well-formed, and never read.
    const asks = frame(Buffer.from("G"), length(4), Buffer.from("long"));
    await served.set("long", "x".repeat(1 << 20));
    for (const socket of sockets.slice(100)) socket.pause().write(asks);
    const client = await clientOf(served);
    for (let i = 0; i < 100; i++) await client.add("count", 1);
    expect(await served.get("count")).toBe("100");
    expect(memoryOf(process.pid) - before).toBeLessThan(200 << 20);
    served.close();
    for (const socket of sockets) socket.resume();
    await Promise.all(sockets.map(hungUp));
  });
});

describe("libtorch's own store, as torchrun serves it", () => {
  it("is asked the same way, and closes though a stranger holds it up", async () => {
    const served = await opened({ foreign: true });
    const client = await clientOf(served, { foreign: true });
    await client.set("key", "value");
    expect([await served.get("key"), await client.add("n", 2), await client.delete("key")]).toEqual(["value", 2, true]);
    expect(await client.missing(["key", "n"], { timeoutMs: 5 })).toEqual([0]);
    const socket = await connected(served.port, Uint8Array.of(0, 1));
    served.close();
    client.close();
    socket.destroy();
  });
});

describe("in the store's place", () => {
  it.each(Object.entries(STRANGERS))("a server that is %s is told from it", async (_, { greet, found }) => {
    const stranger = await Stranger.start(greet);
    open.push(stranger);
    const before = memoryOf(process.pid);
    expect(await refusal({ port: stranger.port, timeoutMs: 1000 })).toMatch(found);
    expect(memoryOf(process.pid) - before).toBeLessThan(64 << 20);
  });

  it("another job's store is", async () => {
    const { port } = await opened();
    expect(await refusal({ port, token: "other" })).toBe("open the store: the store of another job");
  });

  it("nobody is, and a store that comes late is found at any of the addresses", async () => {
    const { port, close } = await Stranger.start(() => {}).then((one) => ({ port: one.port, close: () => one.stop() }));
    close();
    expect(await refusal({ port, timeoutMs: 300 })).toBe("open the store: nobody there within 300 ms (ECONNREFUSED)");
    const waiting = opened({ serve: false, port, hosts: ["::1", "127.0.0.1"] });
    await opened({ port });
    expect(await (await waiting).get("key")).toBeNull();
  });
});
