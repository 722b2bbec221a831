import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readSafetensors } from "@peekaboo/files";
import { liveTensorCount } from "@peekaboo/torch";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readShownEvents } from "../../../../tests/support/events.js";
import { parseConfig } from "../config/config.js";
import { type Guard, Interrupted } from "../console/interrupt.js";
import { type Metrics, readMetrics } from "../runs/metrics.js";
import type { Reporter } from "../training/reporter.js";
import { testRun, trainRun } from "./train.js";

let savedir: string;
beforeAll(() => {
  savedir = mkdtempSync(join(tmpdir(), "peekaboo-train-run-"));
});
afterAll(() => rmSync(savedir, { recursive: true, force: true }));

const settings = (expName: string, more: object = {}) =>
  parseConfig({
    ...{ arch: "ResNet20", width: 0.25, initMethod: "kaiming_normal", optimizer: "BOP", threads: 1, savedir, expName },
    ...{ pruning: { pruner: "Mag", density: 0.5 }, epochs: 2, batchSize: 16, trainLimit: 48, testLimit: 32 },
    ...more,
  });

/** A guard to which a signal has come once it was asked so often. */
function stoppingAfter(looks: number): Guard {
  let seen = 0;
  const pending = async () => (++seen > looks ? "SIGTERM" : undefined);
  const check = async () => {
    if ((await pending()) !== undefined) throw new Interrupted("SIGTERM");
  };
  return { signal: new AbortController().signal, pending, check };
}

const never = (): Guard => stoppingAfter(Number.POSITIVE_INFINITY);

/** Sockets, threads' ports and the like that are open, and files by number; the runner has timers of its own. */
function open(): string[] {
  const handles = process.getActiveResourcesInfo().filter((kind) => kind !== "Timeout");
  return [...handles, ...readdirSync("/proc/self/fd").map(() => "file")];
}

/** What of it was not there before: what was may have gone, as the threads of a run that ended before. */
function added(before: readonly string[]): string[] {
  const left = [...before];
  return open().filter((kind) => {
    const at = left.indexOf(kind);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
}

/** Does it, and compares what is open before and after: threads that were told to end take a moment. */
async function expectNothingLeft(act: () => Promise<unknown>): Promise<void> {
  const before = { tensors: liveTensorCount(), open: open() };
  await act();
  const tensors = liveTensorCount();
  await expect.poll(() => added(before.open), { timeout: 30_000 }).toEqual([]);
  expect(tensors).toBe(before.tensors);
}

const BOTH = ["tensorboard", "csv"];

describe("a run leaves nothing open", () => {
  const whole = (name: string, guard = never(), more = {}) => trainRun(settings(name, more), { reporter: {}, guard });

  // Loads what is loaded once: libtorch, the data set, the picture's parts.
  beforeAll(async () => void (await whole("first")));

  it.each<[string, () => Promise<unknown>, RegExp | null]>([
    ["at its end", () => whole("end"), null],
    ["when it is taken up again", () => whole("end", never(), { epochs: 3 }), null],
    ["when there is nothing left to train", () => whole("end", never(), { epochs: 3 }), null],
    ["stopped by a signal", () => whole("stopped", stoppingAfter(3)), /terminated/],
    [
      "with statistics estimated before each test",
      () => whole("estimated", never(), { bnBatches: 2, epochs: 1 }),
      null,
    ],
    [
      "stopped by a signal while they are",
      () => whole("estimating", stoppingAfter(4), { bnBatches: 3, epochs: 1 }),
      /terminated/,
    ],
    ["with trackers", () => whole("tracked", never(), { log: BOTH, epochs: 1 }), null],
    ["with trackers, stopped by a signal", () => whole("tracked", stoppingAfter(1), { log: BOTH }), /terminated/],
    [
      "refused for other settings",
      () => whole("end", never(), { seed: 1 }),
      /expected the settings that its run began with/,
    ],
    [
      "when the loss is not finite",
      () => whole("nan", never(), { sgd: { lr: 1e38, momentum: 0 } }),
      /expected (a )?finite/,
    ],
    ["when a file of weights is none", () => whole("weights", never(), { loadPretrained: "/dev/null" }), /\/dev\/null/],
    [
      "tested alone",
      () => testRun(settings("end", { epochs: 3, evaluate: true }), { reporter: {}, guard: never() }),
      null,
    ],
    [
      "tested alone, stopped by a signal",
      () => testRun(settings("end", { epochs: 3, evaluate: true }), { reporter: {}, guard: stoppingAfter(0) }),
      /terminated/,
    ],
  ])("%s", async (_, run, failure) => {
    await expectNothingLeft(() => (failure === null ? run() : expect(run()).rejects.toThrow(failure)));
  });

  it("when its reporter throws", async () => {
    const epoch = () => {
      throw new RangeError("no more");
    };
    const run = () => trainRun(settings("thrown"), { reporter: { epoch }, guard: never() });
    await expectNothingLeft(() => expect(run()).rejects.toThrow(RangeError));
  });
});

describe("runs that share a pruning", () => {
  /** Trains, and tells from which run the masks came. */
  const run = async (name: string, more: object) => {
    let taken: string | undefined;
    const reporter: Reporter = {
      prune: ({ takenFrom }) => {
        taken = takenFrom;
      },
    };
    await trainRun(settings(name, { epochs: 1, ...more }), { reporter, guard: never() });
    return taken;
  };
  const linesOf = (name: string) =>
    readMetrics(join(savedir, name, "metrics.jsonl")).map((line) => ({ ...line, seconds: 0, imagesPerSecond: 0 }));
  const sumsIn = (name: string, file: string) => readSafetensors(join(savedir, name, file)).metadata.checksums;

  it.each([
    { arch: "PsgResNet20", pruning: { pruner: "SNIP", density: 0.2 }, bop: { ar: 1e-2, tau: 1e-6 } },
    { arch: "ResNet20", optimizer: "SGD", pruning: { pruner: "SynFlow", density: 0.2, iterations: 3 } },
  ])("train bit for bit as if each pruned itself: %j", async (more) => {
    const name = `sharing-${more.arch}`;
    const sharePruning = join(savedir, `${name}-prunings`);
    await run(`${name}-own`, more);
    expect(await run(`${name}-first`, { ...more, batchSize: 24, sharePruning })).toBeUndefined();
    expect(await run(`${name}-second`, { ...more, sharePruning })).toBe(`${name}-first`);
    expect(linesOf(`${name}-second`)).toEqual(linesOf(`${name}-own`));
    for (const file of ["pruned.safetensors", "checkpoint.safetensors", "best.safetensors"])
      expect(sumsIn(`${name}-second`, file)).toBe(sumsIn(`${name}-own`, file));
    const [first, second] = ["first", "second"].map((end) => {
      const [line] = readMetrics(join(savedir, `${name}-${end}`, "metrics.jsonl"));
      return line?.kind === "prune" ? line.seconds : null;
    });
    expect(second).toBe(first);
  });

  it("refuses a folder that can't be made, in one sentence", async () => {
    writeFileSync(join(savedir, "file"), "");
    await expect(run("refused", { sharePruning: join(savedir, "file") })).rejects.toThrow(
      /^train: expected [^\n]*file"[^\n]*\.$/,
    );
  });
});

describe("each layer's flips", () => {
  const linesOf = (name: string) => readMetrics(join(savedir, name, "metrics.jsonl"));
  const flipsOf = (lines: readonly Metrics[], epoch: number) =>
    lines.reduce((sum, line) => sum + (line.kind === "step" && line.epoch === epoch ? line.flips : 0), 0);
  const run = (name: string, more = {}, guard = never()) =>
    trainRun(settings(name, { bop: { ar: 1e-2, tau: 1e-6 }, ...more }), { reporter: {}, guard });

  it.each([
    ["BOP", 1e-6],
    ["BOP2", 0.1],
  ])("of an epoch are those of its steps, with %s", async (optimizer, tau) => {
    await run(optimizer, { optimizer, bop: { ar: 1e-2, tau } });
    const lines = linesOf(optimizer);
    const told = lines.filter((line) => line.kind === "flips");
    expect(told.map(({ epoch, step }) => [epoch, step])).toEqual([
      [0, 3],
      [1, 6],
    ]);
    const pruned = lines.flatMap((line) => (line.kind === "prune" ? line.layers : []));
    for (const { epoch, layers } of told) {
      expect(layers.reduce((sum, { flips }) => sum + flips, 0)).toBe(flipsOf(lines, epoch));
      expect(layers.map(({ name, kept }) => [name, kept])).toEqual(pruned.map(({ name, kept }) => [name, kept]));
    }
    expect(flipsOf(lines, 0)).toBeGreaterThan(0);
  });

  it("are the whole epoch's when the run was stopped and resumed within it", async () => {
    await expect(run("halves", {}, stoppingAfter(2))).rejects.toThrow(Interrupted);
    expect(linesOf("halves").some(({ kind }) => kind === "flips")).toBe(false);
    await run("halves");
    const flips = (name: string) => linesOf(name).filter(({ kind }) => kind === "flips");
    expect(flips("halves")).toEqual(flips("BOP"));
  });

  it("are not told with SGD", async () => {
    await run("sgd", { optimizer: "SGD", epochs: 1 });
    expect(linesOf("sgd").map(({ kind }) => kind)).toEqual(["prune", "step", "step", "step", "epoch", "eval"]);
  });
});

describe("statistics of BatchNorm that are estimated before each test", () => {
  const run = (name: string, bnBatches: number, guard = never(), more = {}) =>
    trainRun(settings(name, { bnBatches, ...more }), { reporter: {}, guard });
  const file = (name: string, of: string) => join(savedir, name, of);
  const tensorsOf = (name: string, of = "checkpoint.safetensors") =>
    [...readSafetensors(file(name, of)).tensors].map(([key, { data }]) => [key, Buffer.from(data).toString("base64")]);
  const trainingOf = (name: string) =>
    readMetrics(file(name, "metrics.jsonl")).flatMap((line) =>
      line.kind === "eval" ? [] : [{ ...line, seconds: 0, imagesPerSecond: 0 }],
    );
  const testsOf = (name: string) => readMetrics(file(name, "metrics.jsonl")).filter(({ kind }) => kind === "eval");

  it("change nothing of the training, stopped and resumed or not", async () => {
    await run("own", 0);
    await run("anew", 2);
    await expect(run("anew-split", 2, stoppingAfter(2))).rejects.toThrow(Interrupted);
    await expect(run("anew-split", 2, stoppingAfter(2))).rejects.toThrow(Interrupted);
    await run("anew-split", 2);
    for (const name of ["anew", "anew-split"]) {
      expect(trainingOf(name)).toEqual(trainingOf("own"));
      expect(tensorsOf(name)).toEqual(tensorsOf("own"));
    }
    expect(testsOf("anew-split")).toEqual(testsOf("anew"));
    expect(testsOf("anew")).not.toEqual(testsOf("own"));
  });

  it("are those of best.safetensors, which so gives its test again", async () => {
    await run("best", 2, never(), { epochs: 1 });
    await run("best-own", 0, never(), { epochs: 1 });
    const differing = tensorsOf("best", "best.safetensors").flatMap(([name = "", data], i) =>
      data === tensorsOf("best-own", "best.safetensors")[i]?.[1] ? [] : [name],
    );
    expect(differing.length).toBeGreaterThan(0);
    expect(differing.filter((name) => !/\.running_(mean|var)$/.test(name))).toEqual([]);
    const config = settings("none", { resume: file("best", "best.safetensors"), evaluate: true });
    const { loss, accuracy, top5 } = await testRun(config, { reporter: {}, guard: never() });
    expect(testsOf("best")).toMatchObject([{ loss, accuracy, top5 }]);
  });
});

describe("trackers", () => {
  /** The scalars that TensorBoard shows, without times. */
  const scalarsOf = (name: string) =>
    [...readShownEvents(join(savedir, name))].flatMap(([tag, values]) =>
      tag === "images_per_second"
        ? []
        : values.flatMap(({ step, scalar }) => (scalar === undefined ? [] : [[tag, step, scalar]])),
    );
  /** The cells of a CSV file, without times. */
  const cellsOf = (name: string, file: string) => {
    const [names = [], ...rows] = readFileSync(join(savedir, name, file), "utf8")
      .trim()
      .split("\n")
      .map((row) => row.split(","));
    const kept = (row: string[]) => row.filter((_, i) => !["seconds", "imagesPerSecond"].includes(names[i] ?? ""));
    return [names, ...rows].map(kept);
  };
  const run = (name: string, guard = never(), log = BOTH) =>
    trainRun(settings(name, { log, bop: { ar: 1e-2, tau: 1e-6 } }), { reporter: {}, guard });

  it("of a run that a signal stopped and that went on tell what those of a whole one do", async () => {
    await run("kept");
    await expect(run("split", stoppingAfter(2))).rejects.toThrow(Interrupted);
    await expect(run("split", stoppingAfter(2))).rejects.toThrow(Interrupted);
    await run("split");
    for (const file of ["steps.csv", "epochs.csv"]) expect(cellsOf("split", file)).toEqual(cellsOf("kept", file));
    expect(cellsOf("kept", "steps.csv").map(([, step]) => step)).toEqual(["step", "1", "2", "3", "4", "5", "6"]);
    const inOrder = (rows: unknown[][]) => rows.map((row) => JSON.stringify(row)).sort();
    expect(inOrder(scalarsOf("split"))).toEqual(inOrder(scalarsOf("kept")));
    expect(scalarsOf("kept").filter(([tag]) => tag === "loss/test")).toHaveLength(2);
    const shown = readShownEvents(join(savedir, "split"));
    expect(shown.get("run")?.map(({ step, image }) => [step, image?.width, image?.height])).toEqual([[6, 1200, 900]]);
  });

  it("are replaced with the run, and may be asked for when it goes on", async () => {
    await run("later", never(), []);
    expect(readdirSync(join(savedir, "later")).some((name) => /csv|tfevents/.test(name))).toBe(false);
    await trainRun(settings("later", { log: BOTH, epochs: 3, bop: { ar: 1e-2, tau: 1e-6 } }), {
      reporter: {},
      guard: never(),
    });
    expect(cellsOf("later", "epochs.csv").map(([epoch]) => epoch)).toEqual(["epoch", "0", "1", "2"]);
    expect(scalarsOf("later").flatMap(([tag, step]) => (tag === "loss/test" ? [step] : []))).toEqual([3, 6, 9]);
    await trainRun(settings("later", { resume: "never", epochs: 1 }), { reporter: {}, guard: never() });
    expect(readdirSync(join(savedir, "later")).some((name) => /csv|tfevents/.test(name))).toBe(false);
  });
});

describe("a reporter", () => {
  it("hears of a run in its order", async () => {
    const heard: string[] = [];
    const reporter: Reporter = {
      begin: (work) => void heard.push(`${work.kind} ${work.total}`),
      advance: (done) => void heard.push(`${done}`),
      step: ({ epochStep, result }) => void heard.push(`step ${epochStep} of ${result.images}`),
      end: () => void heard.push("end"),
      prune: ({ kept, total }) => void heard.push(`kept ${((100 * kept) / total).toFixed(0)} %`),
      epoch: ({ epoch, result }) => void heard.push(`epoch ${epoch} tested on ${result.images}`),
    };
    const guard = never();
    const { outcome, report } = await trainRun(settings("heard", { epochs: 1 }), { reporter, guard });
    expect(outcome.steps).toBe(3);
    expect(report?.summary).toMatchObject({ steps: 3, testImages: 32 });
    // The first end is that of the data set's fetching.
    expect(heard.join(", ")).toBe(
      "end, prune 1, 1, end, kept 50 %, epoch 3, step 1 of 16, step 2 of 16, step 3 of 16, end, test 32, 32, end, epoch 0 tested on 32",
    );
  });
});
