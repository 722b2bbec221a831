import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Whole } from "./kills.js";
import { randomOf } from "./random.js";
import { type Faults, Tally } from "./tally.js";
import { difference, lastWords, tensorsOf, train } from "./training.js";

/** Mounts something on a new folder for as long as `use` runs; false where this user may not. */
async function mounted(path: string, args: readonly string[], use: () => Promise<void>): Promise<boolean> {
  mkdirSync(path, { recursive: true });
  if (process.getuid?.() !== 0 || spawnSync("mount", [...args, path]).status !== 0) return false;
  try {
    await use();
  } finally {
    spawnSync("umount", ["--lazy", path]);
  }
  return true;
}

/** One sentence about the disk and exit status 2: what a run must end with. */
function refusal(code: number | null, stderr: string, wanted: RegExp): string | undefined {
  if (code === 2 && wanted.test(stderr) && !stderr.includes("    at ")) return undefined;
  return `ended with ${code}: ${lastWords(stderr)}`;
}

/** A disk that is full after some of the run: it ends with a sentence, and goes on once there is room. */
export async function fullDisk({ folder, seed, quick, say }: Faults, whole: Whole): Promise<Tally[]> {
  const tally = new Tally("full disk");
  const random = randomOf(seed, "full-disk");
  for (let i = 0; i < (quick ? 1 : 6); i++) {
    const disk = join(folder, `full-${i}`);
    // A run takes about 700 kB at its end, and 250 kB more while it writes.
    const kilobytes = 8 + random(780);
    const done = await mounted(disk, ["-t", "tmpfs", "-o", `size=${kilobytes}k`, "tmpfs"], async () => {
      const { code, stderr } = await train(disk, "run").ended;
      let failure = refusal(code, stderr, /full disk|a disk with \S+ \S+ free \(ENOSPC\)/);
      spawnSync("mount", ["-o", "remount,size=16m", disk]);
      const resumed = await train(disk, "run", { args: ["--resume", "auto"] }).ended;
      failure ??= resumed.code === 0 ? undefined : `resuming ended with ${resumed.code}: ${lastWords(resumed.stderr)}`;
      failure ??= difference(whole.tensors, tensorsOf(disk, "run"));
      const left = readdirSync(join(disk, "run")).filter((name) => name.endsWith(".tmp"));
      failure ??= left.length === 0 ? undefined : `it left ${left}`;
      tally.count(failure && `${kilobytes} kB: ${failure}`);
    });
    if (!done) tally.skipped = "mounting a tmpfs takes root";
  }
  say(`${tally}`);
  return [tally];
}

/** A folder that nothing can be written to, from the start and from some moment on. */
export async function readOnly({ folder, say }: Faults): Promise<Tally[]> {
  const tally = new Tally("read-only folder");
  const disk = join(folder, "read-only");
  const done = await mounted(disk, ["-t", "tmpfs", "-o", "size=16m", "tmpfs"], async () => {
    const before = await train(disk, "run", { args: ["--max-steps", "3"] }).ended;
    tally.count(before.code === 0 ? undefined : `the first run ended with ${before.code}`);
    spawnSync("mount", ["-o", "remount,ro", disk]);
    for (const name of ["run", "another"]) {
      const { code, stderr } = await train(disk, name, { args: ["--resume", "never"] }).ended;
      tally.count(refusal(code, stderr, /write|read-only/));
    }
    tally.count(tensorsOf(disk, "run") === undefined ? "the earlier run's checkpoint is gone" : undefined);
  });
  if (!done && process.getuid?.() !== 0) {
    mkdirSync(join(disk, "run"), { recursive: true });
    chmodSync(disk, 0o555);
    const { code, stderr } = await train(disk, "another").ended;
    tally.count(refusal(code, stderr, /write|permission/));
    tally.note = "by permissions only: a read-only mount takes root";
  } else if (!done) tally.skipped = "mounting was refused";
  say(`${tally}`);
  return [tally];
}
