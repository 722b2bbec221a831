// Training steps beside a busy neighbour, with OpenMP's threads spinning (GNU's default) and sleeping (ours).
// node bench/dist/contention.js [NEIGHBOURS=1] [STEPS=20]
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const [neighbours = "1", steps = "20"] = process.argv.slice(2);
const step = fileURLToPath(new URL("step.js", import.meta.url));

const busy: ChildProcess[] = Array.from({ length: Number(neighbours) }, () =>
  spawn(process.execPath, ["-e", "for (;;);"], { stdio: "ignore" }),
);
try {
  for (const [name, spins] of [
    ["spinning", "300000"],
    ["sleeping", "10000"],
  ] as const) {
    const env = { ...process.env, GOMP_SPINCOUNT: spins };
    const { status, stdout } = spawnSync(process.execPath, [step, "ResNet20", "32", steps, "psg"], {
      encoding: "utf8",
      env,
      stdio: ["ignore", "pipe", "inherit"],
    });
    for (const line of stdout.trim().split("\n")) console.log(`${name} beside ${neighbours}: ${line}`);
    // Its own words tell why.
    if (status !== 0) process.exitCode = 1;
  }
} finally {
  for (const child of busy) child.kill();
}
