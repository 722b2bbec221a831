import { spawnSync } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { readSafetensorsHeader } from "@peekaboo/files";
import { finish, type Whole } from "./kills.js";
import { randomOf } from "./random.js";
import { type Faults, Tally } from "./tally.js";
import { difference, lastWords, type Running, type StartOptions, stepsOf, tensorsOf, train } from "./training.js";

/** Runs a command in a terminal, which is closed when its stdin ends. */
const TERMINAL = ["python3", fileURLToPath(new URL("../../support/terminal.py", import.meta.url))];
const RUN_STEPS = 36;

/** One way in which a run loses what it writes to. */
interface Loss {
  readonly name: string;
  readonly start: StartOptions;
  /** What happens at a random step. */
  lose(running: Running): void;
  readonly status: number;
}

function losses(full: number, folder: string): Loss[] {
  const inTerminal = (...under: string[]): StartOptions => ({
    under: [...TERMINAL, ...under],
    stdio: ["pipe", "ignore", "ignore"],
    // Where nohup may leave its file.
    cwd: folder,
    // This fault run may be under nohup.
    env: { _: "" },
  });
  const hangUp = ({ child }: Running) => void child.stdin?.end();
  return [
    {
      name: "reader gone, then SIGINT",
      start: { stdio: ["ignore", "pipe", "pipe"] },
      lose: ({ child }) => {
        child.stdout?.destroy();
        child.stderr?.destroy();
        child.kill("SIGINT");
      },
      status: 130,
    },
    { name: "terminal gone", start: inTerminal(), lose: hangUp, status: 129 },
    { name: "terminal gone, nohup", start: inTerminal("nohup"), lose: hangUp, status: 0 },
    { name: "no room for stderr", start: { stdio: ["ignore", "ignore", full] }, lose: () => {}, status: 0 },
    { name: "no room for the result", start: { stdio: ["ignore", full, full] }, lose: () => {}, status: 2 },
  ];
}

/**
 * Takes a training its streams or its terminal at a random step: it must end with the status that tells of it, and its
 * last step saved, or come to its end; left to finish, its tensors must be those of an undisturbed run.
 */
export async function streams(faults: Faults, whole: Whole): Promise<Tally[]> {
  const full = openSync("/dev/full", "w");
  const tallies: Tally[] = [];
  for (const loss of losses(full, faults.folder)) {
    const tally = new Tally(loss.name);
    if (loss.start.under !== undefined && spawnSync("python3", ["-c", "import pty"]).status !== 0) {
      tally.skipped = "a terminal takes python3";
    } else {
      for (let i = 0; i < (faults.quick ? 1 : 4); i++) tally.count(await suffer(loss, i, faults, whole));
    }
    faults.say(`${tally}`);
    tallies.push(tally);
  }
  closeSync(full);
  return tallies;
}

async function suffer(
  loss: Loss,
  i: number,
  { folder, seed, quick }: Faults,
  whole: Whole,
): Promise<string | undefined> {
  const name = `${loss.name.replaceAll(/\W+/g, "-")}-${i}`;
  const target = 1 + randomOf(seed, name)(RUN_STEPS - 6);
  const running = train(folder, name, loss.start);
  let over = false;
  void running.ended.then(() => {
    over = true;
  });
  while (!over && stepsOf(folder, name) < target) await sleep(5);
  loss.lose(running);
  const { code, signal, stderr } = await running.ended;
  const done = stepsOf(folder, name);
  if (code !== loss.status) return `${name}: after step ${done} it ended with ${code ?? signal}: ${lastWords(stderr)}`;
  const saved = stepOf(join(folder, name, "checkpoint.safetensors"));
  if (saved !== done) return `${name}: step ${saved} was saved of ${done}`;
  if (quick && done < RUN_STEPS) return undefined;
  const wrong =
    done < RUN_STEPS ? await finish(folder, name, whole) : difference(whole.tensors, tensorsOf(folder, name));
  return wrong && `${name}: ${wrong}`;
}

function stepOf(checkpoint: string): number {
  const { step }: { step: number } = JSON.parse(readSafetensorsHeader(checkpoint).metadata.progress ?? "{}");
  return step;
}
