import { readdirSync, readFileSync } from "node:fs";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { type Random, randomOf } from "./random.js";
import { connected, listenersOf, memoryOf, pour, STRANGERS, Stranger } from "./sockets.js";
import { type Faults, Tally } from "./tally.js";
import { difference, type Ending, lastWords, type Running, tensorsOf, train } from "./training.js";

const MEGABYTE = 1 << 20;
/** What rank 0 may take more than undisturbed; 64 connections' chunks, and what differs from run to run. */
const MOST_GROWTH = 64 * MEGABYTE;
const TWO = "--nproc-per-node 2 --dist-timeout 20".split(" ");
/** Beyond any run's own time, and any of the job's. */
const PATIENCE_MS = 120_000;
const HELLO = `peekaboo store 1${"0".repeat(64)}`;
/** libtorch's TCPStore: set "key" to three gigabytes. */
const GREEDY = Uint8Array.of(0, 3, 0, 0, 0, 0, 0, 0, 0, 107, 101, 121, 0, 0, 0, 192, 0, 0, 0, 0);

/** What strangers do to a port, and keep open. */
const ATTACKS: Record<string, (port: number, random: Random) => Promise<Socket[]>> = {
  "half a request": async (port) => [await connected(port, HELLO.slice(0, 2)), await connected(port, HELLO)],
  "3 GB in 20 bytes": async (port) => [await connected(port, GREEDY)],
  "other bytes": async (port, random) => [
    await connected(port, "GET / HTTP/1.1\r\n\r\n"),
    await connected(port, new Uint8Array(4096)),
    await connected(
      port,
      Uint8Array.from({ length: 500 }, () => random(256)),
    ),
  ],
  "an endless stream": async (port) => {
    const socket = await connected(port);
    pour(socket, new Uint8Array(65_536).fill(112));
    return [socket];
  },
  "300 connections": (port) => Promise.all(Array.from({ length: 300 }, () => connected(port, "pee"))),
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

/** One job of two ranks, of which strangers attack the store's port, or those of Gloo. */
async function attacked(
  { folder }: Faults,
  name: string,
  attack: (typeof ATTACKS)[string],
  random: Random,
  target: "store" | "gloo",
): Promise<{ job: Job; failure: string | undefined }> {
  const job = new Job(train(folder, name, { args: TWO }));
  const sockets: Promise<Socket[]>[] = [];
  const failure = await job.watch((port, first) => {
    if (first === (target === "store")) sockets.push(attack(port, random).catch(() => []));
  });
  for (const open of sockets) for (const socket of await open) socket.destroy();
  return { job, failure: failure ?? (sockets.length === 0 ? "no port was found to attack" : undefined) };
}

const sentences = (stderr: string) => /[a-z].*\.\n/.test(stderr) && !/\n {4}at |terminate called/.test(stderr);

async function strangersAtStore(faults: Faults): Promise<Tally> {
  const tally = new Tally("strangers at the store");
  const { folder, quick, seed } = faults;
  const quiet = new Job(train(folder, "store-quiet", { args: TWO }));
  const failed =
    (await quiet.watch()) ?? (quiet.ending?.code === 0 ? undefined : lastWords(quiet.ending?.stderr ?? ""));
  const tensors = tensorsOf(folder, "store-quiet");
  if (failed !== undefined || tensors === undefined) throw new Error(`the undisturbed job failed: ${failed}`);
  let growth = 0;
  for (let i = 0; i < (quick ? 2 : 15); i++) {
    const [kind, attack] = Object.entries(ATTACKS)[(i + (quick ? seed : 0)) % 5] ?? [];
    if (kind === undefined || attack === undefined) continue;
    const name = `store-${i}`;
    const { job, failure } = await attacked(faults, name, attack, randomOf(seed, name), "store");
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

/** Gloo trusts who connects first: a job may fail, but with a sentence and not for ever. */
async function strangersAtGloo(faults: Faults): Promise<Tally> {
  const tally = new Tally("strangers at Gloo");
  let trained = 0;
  for (let i = 0; i < (faults.quick ? 1 : 10); i++) {
    const [kind, attack] = Object.entries(ATTACKS)[i % 5] ?? [];
    if (kind === undefined || attack === undefined) continue;
    const name = `gloo-${i}`;
    const { job, failure } = await attacked(faults, name, attack, randomOf(faults.seed, name), "gloo");
    const { code = null, stderr = "" } = job.ending ?? {};
    if (code === 0) trained++;
    const silent = code === 0 || sentences(stderr) ? undefined : `it ended with ${code}: ${lastWords(stderr)}`;
    // Its ports are open for milliseconds: that none was seen is no fault.
    const lost = failure?.startsWith("no port") ? silent : (failure ?? silent);
    tally.count(lost && `${kind}: ${lost}`);
  }
  tally.note = `${trained} trained to the end, the others ended with a sentence`;
  faults.say(`${tally}`);
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
