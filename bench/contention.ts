// Training steps beside busy neighbours, with OpenMP's threads spinning (GNU's default) and sleeping (ours), in turn.
// node bench/dist/contention.js [NEIGHBOURS=1] [STEPS=20]
import { spawn } from "node:child_process";
import { alternating, machine, spread } from "./statistics.js";
import { Player } from "./suite/player.js";
import { WORKLOADS } from "./suite/workloads.js";

const [neighbours = "1", steps = "20"] = process.argv.slice(2);
const BATCH = 32;

const [first] = WORKLOADS;
if (first === undefined) throw new Error("no networks");
const busy = Array.from({ length: Number(neighbours) }, () =>
  spawn(process.execPath, ["-e", "for (;;);"], { stdio: "ignore" }),
);
const players: Player[] = [];
try {
  const ways = new Map<string, () => Promise<number>>();
  for (const [name, spins] of [
    ["spinning", "300000"],
    ["sleeping", "10000"],
  ] as const) {
    const player = await Player.start("psg", { ...first, batch: BATCH }, { GOMP_SPINCOUNT: spins });
    players.push(player);
    ways.set(name, async () => (await player.step()).seconds);
  }
  for (const [name, times] of await alternating(ways, Number(steps))) {
    console.log(`${name} beside ${neighbours}: ${spread(times)} a step of ${BATCH} images`);
  }
  console.log(`${first.name}; ${machine()}`);
} finally {
  for (const player of players) await player[Symbol.asyncDispose]();
  for (const child of busy) child.kill();
}
