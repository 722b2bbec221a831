import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { distributed } from "@peekaboo/torch";
import { type Random, randomOf } from "./random.js";
import { connected, listenersOf, memoryOf, pour, STRANGERS, Stranger } from "./sockets.js";
import { type Faults, Tally } from "./tally.js";
import { difference, type Ending, lastWords, type Running, tensorsOf, train } from "./training.js";

const MEGABYTE = 1 << 20;
/** What rank 0 may take more than undisturbed; 64 connections' chunks, and what differs from run to run. */
const MOST_GROWTH = 64 * MEGABYTE;
const TWO = "--nproc-per-node 2 --dist-timeout 20 --epochs 3".split(" ");
/** Beyond any run's own time, and any of the job's. */
const PATIENCE_MS = 120_000;
const HELLO = `peekaboo store 1${"0".repeat(64)}`;
/** libtorch's TCPStore: set "key" to three gigabytes. */
const GREEDY = Uint8Array.of(0, 3, 0, 0, 0, 0, 0, 0, 0, 107, 101, 121, 0, 0, 0, 192, 0, 0, 0, 0);

/** A connection for each, over which that has gone; Gloo's ports take but one. */
async function several(port: number, all: readonly (string | Uint8Array)[]): Promise<Socket[]> {
  const tried = await Promise.allSettled(all.map((bytes) => connected(port, bytes)));
  return tried.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
}

/** What strangers do to a port, and keep open. */
const ATTACKS: Record<string, (port: number, random: Random) => Promise<Socket[]>> = {
  "half a request": (port) => several(port, [HELLO.slice(0, 2), HELLO]),
  "3 GB in 20 bytes": (port) => several(port, [GREEDY]),
  "other bytes": (port, random) =>
    several(port, [
      Uint8Array.from({ length: 500 }, () => random(256)),
      new Uint8Array(4096),
      "GET / HTTP/1.1\r\n\r\n",
    ]),
  "an endless stream": async (port) => {
    const sockets = await several(port, [""]);
    for (const socket of sockets) pour(socket, new Uint8Array(65_536).fill(112));
    return sockets;
  },
  "300 connections": (port) => several(port, new Array<string>(300).fill("pee")),
};

/** The processes that a supervisor has started, by rank. */
function ranksOf(supervisor: number): Map<number, number> {
  const ranks = new Map<number, number>();
  try {
    for (const task of readdirSync(`/proc/${supervisor}/task`)) {
      const children = readFileSync(`/proc/${supervisor}/task/${task}/children`, "utf8").split(" ");
      for (const pid of children.filter(Boolean).map(Number)) {
        const rank = /(?:^|\0)RANK=(\d+)(?:\0|$)/.exec(readFileSync(`/proc/${pid}/environ`, "utf8"))?.[1];
        if (rank !== undefined) ranks.set(Number(rank), pid);
      }
    }
  } catch {
    // It, or one of them, has ended.
  }
  return ranks;
}

const isThere = (pid: number) => {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
};

/** Watches a job until it ends: where its ranks listen, what rank 0 takes, and who is left. */
class Job {
  readonly running: Running;
  readonly pids = new Set<number>();
  readonly exposed = new Set<string>();
  peak = 0;
  ending: Ending | undefined;

  constructor(running: Running) {
    this.running = running;
    void running.ended.then((ending) => {
      this.ending = ending;
    });
  }

  /** Looks around now and again; `found` gets each loopback port when it is first seen. */
  async watch(found: (port: number, first: boolean) => void = () => {}): Promise<string | undefined> {
    const end = performance.now() + PATIENCE_MS;
    const seen = new Set<number>();
    while (this.ending === undefined) {
      if (performance.now() > end) {
        this.running.child.kill("SIGKILL");
        return `it was still there after ${PATIENCE_MS} ms`;
      }
      for (const [rank, pid] of ranksOf(Number(this.running.child.pid))) this.#look(rank, pid, seen, found);
      await sleep(5);
    }
    const left = [...this.pids].filter(isThere);
    if (left.length > 0) return `${left.length} of its processes were left behind`;
    return this.exposed.size > 0 ? `it listened at ${[...this.exposed].join(", ")}` : undefined;
  }

  #look(rank: number, pid: number, seen: Set<number>, found: (port: number, first: boolean) => void): void {
    this.pids.add(pid);
    try {
      if (rank === 0) this.peak = Math.max(this.peak, memoryOf(pid));
      for (const { address, port, loopback } of listenersOf(pid)) {
        if (!loopback) this.exposed.add(`${address}:${port}`);
        if (seen.has(port)) continue;
        seen.add(port);
        found(port, seen.size === 1);
      }
    } catch {
      // It has ended meanwhile.
    }
  }
}

/** One job of two ranks, of which strangers attack the first port that is seen, the store's. */
async function attacked(
  { folder }: Faults,
  name: string,
  attack: (typeof ATTACKS)[string],
  random: Random,
): Promise<{ job: Job; failure: string | undefined }> {
  const job = new Job(train(folder, name, { args: TWO }));
  const sockets: Promise<Socket[]>[] = [];
  const failure = await job.watch((port, first) => {
    if (first) sockets.push(attack(port, random));
  });
  for (const open of sockets) for (const socket of await open) socket.destroy();
  return { job, failure: failure ?? (sockets.length === 0 ? "no port was found to attack" : undefined) };
}

async function strangersAtStore(faults: Faults): Promise<Tally> {
  const tally = new Tally("strangers at the store");
  const { folder, quick, seed } = faults;
  const quiet = new Job(train(folder, "store-quiet", { args: TWO }));
  const failed =
    (await quiet.watch()) ?? (quiet.ending?.code === 0 ? undefined : lastWords(quiet.ending?.stderr ?? ""));
  const tensors = tensorsOf(folder, "store-quiet");
  if (failed !== undefined || tensors === undefined) throw new Error(`the undisturbed job failed: ${failed}`);
  let growth = 0;
  for (let i = 0; i < (quick ? 1 : 15); i++) {
    const [kind, attack] = Object.entries(ATTACKS)[(i + (quick ? seed : 0)) % 5] ?? [];
    if (kind === undefined || attack === undefined) continue;
    const name = `store-${i}`;
    const { job, failure } = await attacked(faults, name, attack, randomOf(seed, name));
    growth = Math.max(growth, job.peak - quiet.peak);
    const { code = null, stderr = "" } = job.ending ?? {};
    const status = code === 0 ? undefined : `it ended with ${code}: ${lastWords(stderr)}`;
    const grown = job.peak - quiet.peak < MOST_GROWTH ? undefined : `rank 0 took ${job.peak} bytes, not ${quiet.peak}`;
    const lost = failure ?? status ?? grown ?? difference(tensors, tensorsOf(folder, name));
    tally.count(lost && `${kind}: ${lost}`);
  }
  tally.note = `rank 0 grew by ${Math.round(growth / MEGABYTE)} MB at most`;
  faults.say(`${tally}`);
  return tally;
}

const RANK_0 = `
  const { distributed } = await import(process.argv[1]);
  const initMethod = { host: "127.0.0.1", port: Number(process.argv[2]) };
  const times = { timeoutMs: 3000, startTimeoutMs: 60000 };
  await distributed.initProcessGroup({ initMethod, rank: 0, worldSize: 2, ...times }).catch(({ name, message }) => {
    console.error(name + " " + message);
    process.exitCode = 2;
  });`;

/** A rank 0 whose rank 1 has taken its seat and goes no further: Gloo listens for it, and a stranger connects instead. */
async function strangerAtGloo(attack: (typeof ATTACKS)[string], random: Random): Promise<string | undefined> {
  const free = await Stranger.start(() => {});
  free.stop();
  const { port } = free;
  const torch = import.meta.resolve("@peekaboo/torch");
  const args = ["--input-type=module", "-e", RANK_0, torch, String(port)];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "pipe"] });
  let stderr = "";
  child.stderr.on("data", (bytes) => (stderr += bytes));
  const ended = new Promise<number | string | null>((resolve) =>
    child.once("close", (code, by) => resolve(code ?? by)),
  );
  const timer = setTimeout(() => child.kill("SIGKILL"), PATIENCE_MS);
  using store = await distributed.Store.open({ hosts: ["127.0.0.1"], port, serve: false, timeoutMs: PATIENCE_MS });
  for (const key of ["arrived", "seat/1"]) await store.add(`start/0/${key}`, 1);
  await store.set("start/0/came/1", "");
  let ports: number[] = [];
  while (ports.length === 0 && child.exitCode === null) {
    ports = listenersOf(Number(child.pid)).flatMap((one) => (one.port === port ? [] : [one.port]));
    await sleep(2);
  }
  const sockets = (await Promise.all(ports.map((open) => attack(open, random)))).flat();
  const status = await ended;
  clearTimeout(timer);
  for (const socket of sockets) socket.destroy();
  if (sockets.length === 0) return "no port of Gloo's was reached";
  const told = /^DistributedError create the process group: [^\n]+\n$/.test(stderr);
  return status === 2 && told ? undefined : `rank 0 ended with ${status}: ${lastWords(stderr)}`;
}

/** Gloo takes whoever connects first for the rank it waits for: the job fails, but with a sentence and in time. */
async function strangersAtGloo({ quick, seed, say }: Faults): Promise<Tally> {
  const tally = new Tally("strangers at Gloo");
  for (const [kind, attack] of Object.entries(ATTACKS).slice(0, quick ? 1 : 5)) {
    const lost = await strangerAtGloo(attack, randomOf(seed, `gloo-${kind}`));
    tally.count(lost && `${kind}: ${lost}`);
  }
  say(`${tally}`);
  return tally;
}

/** A server of another kind where rank 0 should be. */
async function foreignServers({ folder, quick, say }: Faults): Promise<Tally> {
  const tally = new Tally("foreign servers");
  for (let round = 0; round < (quick ? 1 : 3); round++) {
    const kinds = Object.entries(STRANGERS);
    await Promise.all(
      kinds.map(async ([kind, { greet, found }]) => {
        const stranger = await Stranger.start(greet);
        const url = `tcp://127.0.0.1:${stranger.port}`;
        const args = `--world-size 2 --rank 1 --dist-url ${url} --dist-start-timeout 2`.split(" ");
        const { code, signal, stderr } = await train(folder, `foreign-${kind}`, { args }).ended;
        stranger.stop();
        const told = stderr.includes(url.slice(6)) && found.test(stderr) && stderr.trim().split("\n").length === 1;
        tally.count(code === 2 && told ? undefined : `${kind}: ended with ${code ?? signal}: ${lastWords(stderr)}`);
      }),
    );
  }
  say(`${tally}`);
  return tally;
}

/** What other programs do to the ports of several processes, and in the place of rank 0. */
export async function stores(faults: Faults): Promise<Tally[]> {
  return [await foreignServers(faults), await strangersAtStore(faults), await strangersAtGloo(faults)];
}
