// Sweeps of the real command line on real CIFAR-10: undisturbed, killed, interrupted, with a run that fails.
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { bin, type Ended, peekaboo } from "./support/cli.js";
import { sharedFolder } from "./support/folder.js";

const folder = sharedFolder();

/** Some thirty runs, a few seconds each, on whatever else is going on here. */
vi.setConfig({ testTimeout: 600_000, hookTimeout: 600_000 });
const at = (...names: string[]) => join(folder, ...names);

const TINY = {
  arch: "PsgResNet20",
  width: 0.2,
  initMethod: "kaiming_normal",
  optimizer: "BOP",
  bop: { ar: 1e-2, tau: 1e-7 },
  psg: { takeSign: false, sparsify: true },
  batchSize: 32,
  trainLimit: 128,
  testLimit: 100,
  maxSteps: 6,
};

/** Twelve runs by flags: the same settings as TINY's. */
const TWELVE =
  "--arch PsgResNet20 --width 0.2 --init-method kaiming_normal --optimizer BOP --ar 1e-2 --tau 1e-7 --psg-no-take-sign --psg-sparsify --bs 32 --train-limit 128 --test-limit 100 --max-steps 6 --pruner SynFlow,Rand --prune-ratio 0.05,0.2,0.5 --seed 0..1 --parallel 2".split(
    " ",
  );

function studyOf(name: string, rest: object): string {
  const path = at(`${name}.json`);
  writeFileSync(path, JSON.stringify({ name, base: TINY, ...rest }));
  return path;
}

type Row = Record<string, string>;

/** The rows of a results.csv in which no cell is quoted. */
function rowsIn(...place: string[]): Row[] {
  const [titles = "", ...lines] = readFileSync(at(...place, "results.csv"), "utf8")
    .trim()
    .split("\n");
  const names = titles.split(",");
  return lines.map((line) => Object.fromEntries(line.split(",").map((cell, i) => [names[i] ?? "", cell])));
}

/** The rows without what the clock says. */
const timeless = (...place: string[]) => rowsIn(...place).map(({ seconds, ...row }) => row);

const start = (...args: string[]) => spawn(process.execPath, [bin, "sweep", ...args], { stdio: "ignore" });

const ended = (child: ChildProcess) =>
  new Promise<number | null>((resolve) => child.once("exit", (status) => resolve(status)));

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 20));
}

/** The processes that a process has started. */
function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
  return text.split(" ").flatMap((word) => (word === "" ? [] : [Number(word)]));
}

const isAlive = (pid: number) => existsSync(`/proc/${pid}`);

/** The runs of a study's folder that have come to their end. */
const finishedIn = (study: string) =>
  existsSync(at(study)) ? readdirSync(at(study)).filter((name) => existsSync(at(study, name, "run.svg"))) : [];

/** How many lines of metrics the runs of a study have in all. */
const linesIn = (study: string) =>
  readdirSync(at(study)).reduce((sum, name) => {
    const path = at(study, name, "metrics.jsonl");
    return sum + (existsSync(path) ? readFileSync(path, "utf8").split("\n").length - 1 : 0);
  }, 0);

describe("peekaboo sweep", () => {
  let whole: Ended;
  beforeAll(() => {
    whole = peekaboo("sweep", ...TWELVE, "--savedir", at("whole"));
  });

  it("trains each run of the grid, tells each, and ends in a table of means and deviations", () => {
    expect(whole.status, whole.stderr).toBe(0);
    expect(whole.stderr).toMatch(/^12 runs, 0 of them done; \d+ threads? a run\.$/m);
    expect(whole.stderr).toMatch(/^Rand-density0\.2-seed1: done in .* \(\d+ of 12 runs\)$/m);
    expect(whole.stderr).toMatch(/^sweep: 100 % \(72\/72 steps\).* runs 12 of 12$/m);
    const [titles = "", ...rows] = whole.stdout.split("\n");
    expect(titles).toMatch(/^method +asked +kept +MACs +seeds +accuracy at the end/);
    const rand = rows.find((row) => /^Rand +20\.0 %/.test(row)) ?? "";
    const accuracies = rowsIn("whole")
      .filter((row) => row["pruning.pruner"] === "Rand" && row["pruning.density"] === "0.2")
      .map((row) => Number(row.accuracy_last));
    const [a = 0, b = 0] = accuracies;
    expect(rand).toContain(`${((a + b) / 2).toFixed(2)} ± ${(Math.abs(a - b) / Math.SQRT2).toFixed(2)} %`);
  });

  it("writes to results.csv what inspect, the metrics, the models and the files say", () => {
    const rows = rowsIn("whole");
    expect(new Set(rows.map(({ run }) => run)).size).toBe(12);
    const models = JSON.parse(peekaboo("models", "ResNet20", "--width", "0.2", "--json").stdout);
    for (const { run = "", ...row } of rows.slice(0, 5)) {
      const file = at("whole", run, "checkpoint.safetensors");
      const report = JSON.parse(peekaboo("inspect", file, "--json").stdout);
      const lines = readFileSync(at("whole", run, "metrics.jsonl"), "utf8")
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line));
      const tests = lines.flatMap(({ kind, accuracy }) => (kind === "eval" ? [accuracy] : []));
      const flips = lines.reduce((sum, line) => sum + (line.kind === "step" ? line.flips : 0), 0);
      const macs = models.layers.reduce((sum: number, { name, macs: own }: { name: string; macs: number }) => {
        const layer = report.layers.find((one: { name: string }) => one.name === name);
        return sum + (layer === undefined ? own : (own * layer.kept) / layer.total);
      }, 0);
      const bytes = statSync(at("whole", run, "best.pab")).size;
      expect(row).toMatchObject({
        status: "done",
        accuracy_best: String(Math.max(...tests)),
        accuracy_last: String(tests.at(-1)),
        kept: String(report.kept),
        weights: String(report.total),
        density: String(report.kept / report.total),
        macs: String(Math.round(macs)),
        bits_per_weight: String((8 * bytes) / report.total),
        pab_bytes: String(bytes),
        ideal_bytes: String(Math.ceil(report.idealSize.total)),
        flips: String(flips),
        steps: "6",
        failure: "",
      });
      expect(Number(row.macs_density)).toBeCloseTo(macs / models.macs, 12);
      expect(flips).toBe(report.flips);
    }
  });

  it("killed three times finishes with each run once, and the results of a sweep that was not", async () => {
    const args = [...TWELVE, "--savedir", at("killed")];
    const finished = new Map<string, number>();
    for (const [i, lines] of [5, 30, 55].entries()) {
      const child = start(...args);
      const { pid = 0 } = child;
      await until(() => existsSync(at("killed")) && linesIn("killed") >= lines);
      for (const name of finishedIn("killed")) finished.set(name, statSync(at("killed", name, "train.log")).mtimeMs);
      const children = childrenOf(pid);
      const over = ended(child);
      child.kill("SIGKILL");
      // Its trainings notice, save and end; or are killed, too.
      if (i === 1) for (const own of children) process.kill(own, "SIGKILL");
      expect(await over).toBe(null);
    }
    const { status, stderr } = peekaboo("sweep", ...args);
    expect(status, stderr).toBe(0);
    expect(finished.size).toBeGreaterThan(1);
    for (const [name, time] of finished) expect(statSync(at("killed", name, "train.log")).mtimeMs).toBe(time);
    expect(timeless("killed")).toEqual(timeless("whole"));
  });

  it("does nothing where all is done, and refuses another study's folder in one sentence", () => {
    const log = at("whole", "Rand-density0.2-seed0", "train.log");
    const before = statSync(log).mtimeMs;
    expect(peekaboo("sweep", ...TWELVE, "--savedir", at("whole")).status).toBe(0);
    expect(statSync(log).mtimeMs).toBe(before);
    const { status, stderr } = peekaboo("sweep", ...TWELVE, "--seed", "0..2", "--savedir", at("whole"));
    expect(status).toBe(2);
    expect(stderr).toMatch(
      /^sweep: expected a new folder, or .* received those of another, sweep, of 12 runs instead of 18; .*\n$/,
    );
    mkdirSync(at("other"));
    writeFileSync(at("other", "file"), "");
    expect(peekaboo("sweep", ...TWELVE, "--savedir", at("other")).stderr).toContain('one that holds "file"');
  });

  it("prunes once for the runs that come to the same masks, which train as if each had done so itself", () => {
    const pruning = { pruner: "SynFlow", density: 0.3, iterations: 20 };
    const study = studyOf("sharing", {
      runs: [
        { name: "learned" },
        { name: "random signs", "bop.tau": 1e9 },
        { name: "SGD", arch: "ResNet20", optimizer: "SGD" },
        { name: "dense", "pruning.pruner": null },
        { name: "late", "pruning.epoch": 1, epochs: 2, maxSteps: 5 },
      ],
      base: { ...TINY, pruning, threads: 1 },
      grid: { seed: [0, 1] },
    });
    const { status, stderr } = peekaboo("sweep", study, "--savedir", at("sharing"), "--parallel", "2");
    expect(status, stderr).toBe(0);
    const log = (run: string) => readFileSync(at("sharing", run, "train.log"), "utf8");
    const pruned = (run: string) => /^Kept .* weights \(.* %\) in .*\.$/m.test(log(run));
    const names = ["learned", "random_signs", "SGD"];
    for (const seed of [0, 1]) {
      const own = names.filter((name) => pruned(`${name}-seed${seed}`));
      expect(own).toHaveLength(1);
      const found = new RegExp(`^Kept .* weights \\(.* %\\), as ${own[0]}-seed${seed} found in .*\\.$`, "m");
      for (const name of names) if (name !== own[0]) expect(log(`${name}-seed${seed}`)).toMatch(found);
      expect(log(`dense-seed${seed}`)).not.toMatch(/^Kept|--share-pruning/m);
      expect(log(`late-seed${seed}`)).not.toMatch(/^Kept .* found in|--share-pruning/m);
    }
    expect(readdirSync(at("sharing", "prunings"))).toHaveLength(2);
    // A repetition prunes itself.
    for (const name of names) {
      const again = peekaboo("reproduce", at("sharing", `${name}-seed0`), "--savedir", at("repeated"));
      expect(again.status, again.stderr).toBe(0);
      expect(again.stderr).toMatch(/^Kept .* %\) in .*\.$/m);
    }
  });

  it("goes on when a run fails, tells why at the end, and tries it again", async () => {
    const study = studyOf("failing", {
      runs: [
        { name: "bad", "bop.tauLayers": [{ pattern: "nowhere.*", value: 1 }] },
        { name: "good", pruning: { pruner: "SNIP", density: 0.5 } },
        { name: "dense", arch: "ResNet20", optimizer: "SGD" },
      ],
    });
    const { status, stdout, stderr } = peekaboo("sweep", study, "--savedir", at("failing"));
    expect(status).toBe(1);
    expect(stderr).toMatch(/\nbad-seed0 failed: [^\n]*--tau-layers[^\n]*nowhere[^\n]*\n$/);
    expect(stdout).toMatch(/^bad +100 % +- +- +0 of 1 /m);
    expect(rowsIn("failing").map(({ run, status: how }) => [run, how])).toContainEqual(["good-seed0", "done"]);
    const dense = rowsIn("failing").find(({ run }) => run === "dense-seed0");
    expect(dense).toMatchObject({
      status: "done",
      density: "1",
      macs_density: "1",
      pab_bytes: "",
      bits_per_weight: "",
      flips: "0",
    });

    // Interrupted, it leaves no process behind.
    rmSync(at("failing", "good-seed0"), { recursive: true });
    const child = start(study, "--savedir", at("failing"));
    await until(() => existsSync(at("failing", "good-seed0", "metrics.jsonl")));
    const busy = peekaboo("sweep", study, "--savedir", at("failing"));
    expect(busy.stderr).toMatch(/^sweep: expected a study folder that no other sweep is using .*\n$/);
    expect(busy.status).toBe(2);
    const children = childrenOf(child.pid ?? 0);
    const over = ended(child);
    child.kill("SIGINT");
    expect(await over).toBe(130);
    expect(children.filter(isAlive)).toEqual([]);
  });
});

describe("peekaboo report", () => {
  it("makes the results again from the runs alone, as a page that fetches nothing", () => {
    const before = readFileSync(at("whole", "results.csv"), "utf8");
    const names = [
      "results.csv",
      "report.html",
      "accuracy-density.svg",
      "accuracy-size.svg",
      "kept-per-layer.svg",
      "flips.svg",
    ];
    for (const name of names) rmSync(at("whole", name));
    expect(peekaboo("report", at("whole")).status).toBe(0);
    for (const name of names) expect(existsSync(at("whole", name))).toBe(true);
    expect(readFileSync(at("whole", "results.csv"), "utf8")).toBe(before);
    const page = readFileSync(at("whole", "report.html"), "utf8");
    expect(page).not.toMatch(/<script|<link|<img|\bsrc=|@import|url\(/);
    expect(page).toContain("peekaboo train --arch PsgResNet20 --width 0.2");
    // Runs of `train` alone, without a study.
    rmSync(at("whole", "study.json"));
    expect(peekaboo("report", at("whole"), "--output", at("again")).status).toBe(0);
    expect(timeless("again").toSorted((a, b) => String(a.run).localeCompare(String(b.run)))).toEqual(
      timeless("whole").toSorted((a, b) => String(a.run).localeCompare(String(b.run))),
    );
  });

  it("refuses a folder without runs in one sentence", () => {
    mkdirSync(at("empty"));
    const { status, stderr } = peekaboo("report", at("empty"));
    expect(status).toBe(2);
    expect(stderr).toMatch(/^report: expected a folder with runs of .*received none; .*\n$/);
  });
});
