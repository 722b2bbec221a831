import { type FSWatcher, mkdirSync, readdirSync, watch } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Random, randomOf } from "./random.js";
import { type Faults, Tally } from "./tally.js";
import { difference, type Ending, lastWords, type Running, stepsOf, tensorsOf, train } from "./training.js";

/** Kills of one run before it is left to finish. */
const KILLS_A_RUN = 5;
const RESUME = ["--resume", "auto"];
/** A disk that takes 16 KiB in 10 ms, and 40 ms to have on it what was written: a checkpoint takes about 0.3 s. */
const SLOW_DISK = `
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
const late = (name, milliseconds, most = Infinity) => {
  const real = fs[name], called = promisify(real);
  const cut = (args) => (most < Infinity && typeof args[3] === "number" ? args.with(3, Math.min(args[3], most)) : args);
  fs[name] = (...args) => setTimeout(() => real(...cut(args.slice(0, -1)), args.at(-1)), milliseconds);
  fs[name][promisify.custom] = async (...args) => (await sleep(milliseconds), called(...cut(args)));
};
late("write", 10, 16384);
late("fdatasync", 40);
late("fsync", 40);
syncBuiltinESMExports();`;
const SLOW = ["--import", `data:text/javascript,${encodeURIComponent(SLOW_DISK)}`];
const isTemporary = (name: string) => name.startsWith(".writing-");

/** What a run that nothing disturbs comes to. */
export interface Whole {
  readonly tensors: Map<string, string>;
  /** Of the process, from start to end. */
  readonly seconds: number;
}

/** Runs undisturbed; throws with what the process said when that fails. */
export async function wholeRun(folder: string): Promise<Whole> {
  const { code, stderr, seconds } = await train(folder, "whole").ended;
  const tensors = tensorsOf(folder, "whole");
  if (code !== 0 || tensors === undefined) throw new Error(`the undisturbed run failed: ${lastWords(stderr)}`);
  return { tensors, seconds };
}

/** Sends SIGKILL and says whether it came in time. */
async function kill({ child, ended }: Running): Promise<{ killed: boolean; ending: Ending }> {
  child.kill("SIGKILL");
  const ending = await ended;
  return { killed: ending.signal === "SIGKILL", ending };
}

/** Waits for a random moment of a process that takes `seconds` undisturbed. */
async function randomMoment(running: Running, seconds: number, random: Random): Promise<void> {
  await Promise.race([running.ended, sleep((random(10_000) / 10_000) * seconds * 1000)]);
}

/** Waits for the n-th file that begins to be written in `folder`, and then for a random part of the time that takes. */
async function writingMoment(running: Running, folder: string, random: Random): Promise<void> {
  mkdirSync(folder, { recursive: true });
  let watcher: FSWatcher | undefined;
  let left = random(12);
  let last = "";
  await Promise.race([
    running.ended,
    new Promise<void>((resolve) => {
      watcher = watch(folder, (_, name) => {
        if (name === null || !isTemporary(name) || name === last) return;
        last = name;
        if (left-- === 0) resolve();
      });
    }),
  ]);
  watcher?.close();
  await sleep(random(350));
}

/** What became of a run's start: the last checkpoint's tensors once it has been left to finish. */
export async function finish(folder: string, name: string, whole: Whole): Promise<string | undefined> {
  const { code, signal, stderr } = await train(folder, name, { args: RESUME }).ended;
  if (code !== 0) return `resuming ended with ${code ?? signal}: ${lastWords(stderr)}`;
  return difference(whole.tensors, tensorsOf(folder, name));
}

/**
 * Kills a training by SIGKILL at random moments, and while files are being written to a slow disk, and resumes it each time; in the end
 * its tensors must be those of an undisturbed run.
 */
export async function kills({ folder, seed, quick, say }: Faults, whole: Whole): Promise<Tally[]> {
  const moments = new Tally("kill -9, any moment");
  const writes = new Tally("kill -9, while writing");
  for (const [tally, wanted] of [[moments, quick ? 2 : 13] as const, [writes, quick ? 2 : 12] as const]) {
    let torn = 0;
    for (let run = 0; tally.tried < wanted && run < 3 * wanted; run++) {
      const name = `kill-${tally === moments ? "moment" : "write"}-${run}`;
      const random = randomOf(seed, name);
      const path = join(folder, name);
      let failure: string | undefined;
      let count = 0;
      const steps: number[] = [];
      while (count < KILLS_A_RUN && tally.tried + count < wanted && failure === undefined) {
        const running = train(folder, name, { args: RESUME, ...(tally === writes ? { node: SLOW } : {}) });
        if (tally === moments) await randomMoment(running, whole.seconds * 0.8, random);
        else await writingMoment(running, path, random);
        const { killed, ending } = await kill(running);
        if (!killed) {
          if (ending.code !== 0) failure = `resuming ended with ${ending.code}: ${lastWords(ending.stderr)}`;
          break;
        }
        count++;
        steps.push(stepsOf(folder, name));
        const names = tally === writes ? readdirSync(path) : [];
        if (names.some(isTemporary)) torn++;
      }
      failure ??= await finish(folder, name, whole);
      for (let k = 1; k <= count; k++) {
        tally.count(
          k === count && failure !== undefined ? `run ${name}, killed after steps ${steps}: ${failure}` : undefined,
        );
      }
    }
    if (tally === writes) tally.note = `on a slow disk; ${torn} left an unfinished file`;
    say(`${tally}`);
  }
  return [moments, writes];
}

/** Ends a training by SIGTERM and SIGINT: the exit status tells which, and its state is saved. */
export async function signals({ folder, seed, quick, say }: Faults, whole: Whole): Promise<Tally[]> {
  const tally = new Tally("SIGTERM and SIGINT");
  for (let i = 0; i < (quick ? 2 : 6); i++) {
    const signal = i % 2 === 0 ? "SIGTERM" : "SIGINT";
    const name = `signal-${i}`;
    const random = randomOf(seed, name);
    const running = train(folder, name);
    const target = 1 + random(30);
    let over = false;
    void running.ended.then(() => {
      over = true;
    });
    while (!over && stepsOf(folder, name) < target) await sleep(5);
    running.child.kill(signal);
    const { code, stderr } = await running.ended;
    const wanted = signal === "SIGTERM" ? 143 : 130;
    const told = stepsOf(folder, name);
    let failure = code === wanted ? undefined : `${signal} after step ${told} ended with ${code}: ${lastWords(stderr)}`;
    const again = train(folder, name, { args: RESUME });
    const resumed = await again.ended;
    failure ??= resumed.stderr.includes(`after step ${told}`) ? undefined : `step ${told} was not saved`;
    failure ??= difference(whole.tensors, tensorsOf(folder, name));
    tally.count(failure);
  }
  say(`${tally}`);
  return [tally];
}
