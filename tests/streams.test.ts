// What becomes of a command when nobody takes its output, or its terminal goes away, on real CIFAR-10.
import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from "node:child_process";
import { existsSync, openSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readSafetensorsHeader } from "@peekaboo/files";
import { describe, expect, it } from "vitest";
import { bin, peekaboo } from "./support/cli.js";
import { sharedFolder } from "./support/folder.js";
import { isAlive, until } from "./support/launch.js";

const terminal = fileURLToPath(new URL("support/terminal.py", import.meta.url));
const FULL = openSync("/dev/full", "w");
const MINUTES = 300_000;
const folder = sharedFolder();

const NETWORK = "--arch PsgResNet20 --width 0.25".split(" ");
const RUN =
  "--psg-no-take-sign --psg-sparsify --optimizer BOP --ar 1e-2 --tau 1e-6 --bs 32 --train-limit 96 --test-limit 64 --threads 1".split(
    " ",
  );
const TWO = ["--nproc-per-node", "2"];
/** Longer than any test waits, and saved at the end of the first epoch only. */
const LONG = ["--epochs", "100000", "--train-limit", "20000", "--checkpoint-every", "1h"];

const training = (name: string, ...more: string[]) =>
  [process.execPath, bin, "train", ...NETWORK, ...RUN, "--savedir", folder, "--exp-name", name, ...more] as const;
const inTerminal = ["python3", terminal];

function start([program, ...args]: readonly [string, ...string[]] | readonly string[], options: SpawnOptions) {
  // These tests may run under nohup.
  const child = spawn(program ?? "", args, { ...options, env: { ...process.env, _: "" } });
  const ended = new Promise<number | NodeJS.Signals | null>((resolve) => {
    child.once("exit", (status, signal) => resolve(status ?? signal));
  });
  return { child, ended };
}

const stepsOf = (name: string) => {
  const path = join(folder, name, "metrics.jsonl");
  return existsSync(path) ? readFileSync(path, "utf8").split('"kind":"step"').length - 1 : 0;
};

/** Waits until the run has done some steps, or is no more. */
const underway = (name: string, { exitCode }: ChildProcess) => until(() => stepsOf(name) >= 2 || exitCode !== null);

/** That the run's last step is in its checkpoint, and nothing of the process is left. */
function expectSaved(name: string): void {
  const { progress = "" } = readSafetensorsHeader(join(folder, name, "checkpoint.safetensors")).metadata;
  expect((JSON.parse(progress) as { step: number }).step).toBe(stepsOf(name));
  expect(readdirSync(join(folder, name)).filter((file) => /lock|tmp|^\./.test(file))).toEqual([]);
}

describe("training", () => {
  it(
    "saves at Ctrl-C with status 130 when the reader of its output is gone",
    async () => {
      const { child, ended } = start(training("readerless", ...LONG), { stdio: ["ignore", "pipe", "pipe"] });
      child.stdout?.destroy();
      child.stderr?.destroy();
      await underway("readerless", child);
      child.kill("SIGINT");
      expect(await ended).toBe(130);
      expectSaved("readerless");
    },
    MINUTES,
  );

  it(
    "does so in two processes, in a pipeline of which Ctrl-C ends the reader first",
    async () => {
      const line = `{ "$@"; echo $? > ${folder}/status; } 2>&1 | tee ${folder}/log`;
      // The shells stay for the status; what they start is not told to.
      const shell = ["sh", "-c", `trap : INT; ${line.replace("{", "{ trap : INT;")}`, "sh"];
      const { child, ended } = start([...shell, ...training("tee", ...LONG, ...TWO)], {
        stdio: ["ignore", "ignore", "ignore"],
        detached: true,
      });
      await underway("tee", child);
      process.kill(-(child.pid ?? 0), "SIGINT");
      await ended;
      await until(() => existsSync(join(folder, "status")) && readFileSync(join(folder, "status"), "utf8") !== "");
      expect(readFileSync(join(folder, "status"), "utf8")).toBe("130\n");
      expectSaved("tee");
    },
    MINUTES,
  );

  it(
    "goes on to its end with stderr on a full disk; a result that has no room is told, with status 2",
    async () => {
      const silent = start(training("full", "--epochs", "1"), { stdio: ["ignore", "ignore", FULL] });
      expect(await silent.ended).toBe(0);
      expectSaved("full");
      const [program, ...args] = training("full", "--epochs", "1", "--json");
      const { status, stderr } = spawnSync(program, args, { encoding: "utf8", stdio: ["ignore", FULL, "pipe"] });
      expect(stderr).toMatch(/\nwrite the result: expected [^\n]* received ENOSPC[^\n]*\n$/);
      expect(status).toBe(2);
    },
    MINUTES,
  );

  it.each([
    ["one process", []],
    ["two processes", TWO],
  ])(
    "saves with status 129 when its terminal goes away, in %s",
    async (title, more) => {
      const name = title.replace(" ", "-");
      const { child, ended } = start([...inTerminal, ...training(name, ...LONG, ...more)], {
        stdio: ["pipe", "ignore", "ignore"],
      });
      await underway(name, child);
      child.stdin?.end();
      expect(await ended).toBe(129);
      expectSaved(name);
    },
    MINUTES,
  );

  it.each([
    ["nohup", ["nohup"]],
    ["a shell that ignores SIGHUP", ["sh", "-c", 'trap "" HUP; "$@"; exit $?', "sh"]],
  ])(
    "goes on to its end without its terminal under %s",
    async (title, under) => {
      const name = title.split(" ").join("-");
      const command = [...inTerminal, ...under, ...training(name, "--epochs", "3")];
      const { child, ended } = start(command, { stdio: ["pipe", "ignore", "ignore"], cwd: folder });
      await underway(name, child);
      child.stdin?.end();
      expect(await ended).toBe(0);
      expect(stepsOf(name)).toBe(9);
      expectSaved(name);
    },
    MINUTES,
  );

  it(
    "stops and goes on with all its processes at Ctrl-Z and fg",
    async () => {
      const { child, ended } = start(training("suspended", ...LONG, ...TWO), { stdio: "ignore" });
      await underway("suspended", child);
      const { pid = 0 } = child;
      process.kill(pid, "SIGTSTP");
      const state = (id: number) => /^State:\s+(\w)/m.exec(readFileSync(`/proc/${id}/status`, "utf8"))?.[1];
      const children = () =>
        readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number);
      await until(() => [pid, ...children()].every((id) => state(id) === "T"));
      expect(children().length).toBe(2);
      const steps = stepsOf("suspended");
      child.kill("SIGCONT");
      await until(() => stepsOf("suspended") > steps);
      child.kill("SIGTERM");
      expect(await ended).toBe(143);
      expectSaved("suspended");
    },
    MINUTES,
  );
});

describe("other commands", () => {
  it.each([
    ["--help", ["--help"]],
    ["data list", ["data", "list"]],
    ["models", ["models", "ResNet20", "--json"]],
  ])("tell in one sentence, with status 2, that what %s prints has no room", (_, args) => {
    const { status, stderr } = spawnSync(process.execPath, [bin, ...args], {
      encoding: "utf8",
      stdio: ["ignore", FULL, "pipe"],
    });
    expect(stderr).toMatch(/^write the result: [^\n]*ENOSPC[^\n]*\n$/);
    expect(status).toBe(2);
  });

  it("end with their own status where neither stream takes anything, or both are closed", () => {
    const both = spawnSync(process.execPath, [bin, "inspect", "nowhere"], { stdio: ["ignore", FULL, FULL] });
    expect(both.status).toBe(2);
    expect(spawnSync("sh", ["-c", '"$@" <&- >&- 2>&-', "sh", process.execPath, bin, "data", "list"]).status).toBe(0);
  });

  it("print to a slow pipe to the end", () => {
    const slow = `"$@" | { sleep 1; cat; }`;
    const { stdout } = spawnSync("sh", ["-c", slow, "sh", process.execPath, bin, "train", "--help"], {
      encoding: "utf8",
    });
    const whole = peekaboo("train", "--help");
    expect(stdout).toBe(whole.stdout);
    expect(stdout.length).toBeGreaterThan(5_000);
  });

  it.each([
    ["evaluate", "SIGINT", 130],
    ["prune", "SIGHUP", 129],
  ] as const)(
    "%s ends by %s with status %i and leaves nothing behind",
    async (command, signal, expected) => {
      const checkpoint = join(folder, "full", "best.safetensors");
      const written = ["--pruned-save-name", join(folder, "half.safetensors")];
      const args =
        command === "prune"
          ? [...NETWORK, "--pruner", "SynFlow", "--prune-ratio", "0.1", "--prune-iters", "1000000", ...written]
          : [checkpoint, "--bs", "1"];
      const { child, ended } = start([process.execPath, bin, command, ...args], {
        stdio: ["ignore", "ignore", "pipe"],
      });
      let said = "";
      child.stderr?.on("data", (bytes) => (said += bytes));
      await until(() => /^(test|prune with)/m.test(said));
      const before = readdirSync(folder);
      child.kill(signal);
      expect(await ended, said).toBe(expected);
      expect(isAlive(child.pid ?? 0)).toBe(false);
      expect(readdirSync(folder)).toEqual(before);
      expect(said).not.toMatch(/^ {4}at /m);
    },
    MINUTES,
  );
});
