// What a run's folder tells after it was started again, made longer, or resumed otherwise, on real CIFAR-10.
import { cpSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readSafetensors, writeSafetensors } from "@peekaboo/files";
import { beforeAll, describe, expect, it } from "vitest";
import { withChecksums } from "./support/checksums.js";
import { peekaboo } from "./support/cli.js";
import { sharedFolder } from "./support/folder.js";

const folder = sharedFolder();

/** Three steps an epoch. */
const NETWORK = "--arch PsgResNet20 --width 0.25".split(" ");
const RUN =
  "--psg-no-take-sign --psg-sparsify --optimizer BOP --ar 1e-2 --tau 1e-6 --bs 32 --train-limit 96 --test-limit 64 --threads 1 --lr 0.05 --milestones 1".split(
    " ",
  );

const train = (name: string, ...more: string[]) =>
  peekaboo("train", ...NETWORK, ...RUN, "--savedir", folder, "--exp-name", name, ...more);

function trained(name: string, ...more: string[]): void {
  const { status, stderr } = train(name, ...more);
  expect(status, stderr).toBe(0);
}

function recordOf(name: string) {
  const text = readFileSync(join(folder, name, "config.json"), "utf8");
  return JSON.parse(text) as Record<string, unknown> & { environment: { commandLine: string[] }; earlier?: unknown[] };
}

/** Every file of a run with its bytes, and when it was written. */
const filesOf = (name: string) =>
  readdirSync(join(folder, name)).map((file) => {
    const path = join(folder, name, file);
    return [file, statSync(path).mtimeMs, readFileSync(path).toString("base64")] as const;
  });

const linesOf = (name: string) =>
  readFileSync(join(folder, name, "metrics.jsonl"), "utf8")
    .split("\n")
    .slice(0, -1);

beforeAll(() => {
  trained("run", "--epochs", "2");
}, 300_000);

describe("a finished run", () => {
  it.each([
    ["with a smaller length", 0, /The run is finished: 6 steps are done, of 3 asked for\./, ["--epochs", "1"]],
    ["as it was", 0, /The run is finished: all 6 steps are done\./, ["--epochs", "2"]],
    ["to be tested", 0, /^test/m, ["--evaluate", "--epochs", "5"]],
    ["with data that aren't there", 2, /no-such-folder/, ["--epochs", "3", "--data", "no-such-folder"]],
    ["with a batch that processes can't share", 2, /settings that its run began with/, ["--epochs", "3", "--bs", "31"]],
  ])("is left as it is by a start %s", (_, expected, told, args) => {
    const before = filesOf("run");
    const { status, stderr } = train("run", ...args);
    expect(stderr).toMatch(told);
    expect(status).toBe(expected);
    expect(filesOf("run")).toEqual(before);
  });

  it("isn't replaced by one that is refused after the data are open", () => {
    const before = filesOf("run");
    const { status, stderr } = train("run", "--resume", "never", "--ar-layers", "nowhere=1e-3");
    expect([status, stderr.trim().split("\n").length]).toEqual([2, 1]);
    expect(filesOf("run")).toEqual(before);
  });

  it("that was made longer is recorded as the longer one, and reproduces", () => {
    cpSync(join(folder, "run"), join(folder, "longer"), { recursive: true });
    trained("longer", "--epochs", "3", "--keep", "3");
    const { epochs, keep, earlier, environment } = recordOf("longer");
    expect({ epochs, keep }).toEqual({ epochs: 3, keep: 3 });
    expect(environment.commandLine).toContain("--keep");
    expect(earlier).toMatchObject([{ steps: 6, settings: { epochs: 2, keep: 2 } }]);
    const { status, stdout, stderr } = peekaboo("reproduce", join(folder, "longer"));
    expect(stdout, stderr).toContain("Identical: ");
    expect(status).toBe(0);
  });
});

describe("a run that was tested amid an epoch, then made longer", () => {
  it("reproduces with that test, as does its repetition", () => {
    trained("amid", "--max-steps", "4");
    trained("amid", "--max-steps", "7");
    const tests = linesOf("amid").filter((line) => line.includes('"kind":"eval"'));
    expect(tests.map((line) => (JSON.parse(line) as { step: number }).step)).toEqual([3, 4, 6, 7]);
    for (const name of ["amid", "amid-reproduced"]) {
      const { status, stdout, stderr } = peekaboo("reproduce", join(folder, name));
      expect(stdout, stderr).toContain("Identical: ");
      expect(status).toBe(0);
    }
  });

  it("can't be repeated once it was resumed with other threads, which is said before anything is trained", () => {
    trained("amid", "--max-steps", "8", "--threads", "2");
    rmSync(join(folder, "amid-reproduced"), { recursive: true });
    const { status, stdout, stderr } = peekaboo("reproduce", join(folder, "amid"));
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(
      /^reproduce: expected a run of the same threads .*\(1 up to step 7, 2 in the end\)[^\n]*\n$/,
    );
    expect(readdirSync(folder)).not.toContain("amid-reproduced");
  });
});

describe("a run that began from a file", () => {
  it("reproduces from that file after it was resumed without it", () => {
    const pruned = join(folder, "pruned.safetensors");
    const how = ["--pruner", "Mag", "--prune-ratio", "0.4", "--threads", "1", "--pruned-save-name", pruned];
    expect(peekaboo("prune", ...NETWORK, ...how).status).toBe(0);
    trained("from", "--epochs", "1", "--resume", pruned);
    trained("from", "--epochs", "2");
    expect(recordOf("from").resume).toBe(pruned);
    const { stdout, stderr } = peekaboo("reproduce", join(folder, "from"));
    expect(stdout, stderr).toContain("Identical: ");
  });

  it("is refused where nothing is left to train, and nothing is written", () => {
    const start = join(folder, "run", "checkpoint.safetensors");
    const { status, stderr } = train("new", "--epochs", "1", "--resume", start);
    expect(status).toBe(2);
    expect(stderr).toMatch(/something to train for \S+, received one after step 6, of 3 asked for/);
    expect(readdirSync(join(folder, "new"))).toEqual([]);
  });
});

describe("reproduce", () => {
  it.each([
    ["a step missing", (lines: string[]) => lines.toSpliced(2, 1), /step 4 out of its order/],
    ["the end missing", (lines: string[]) => lines.slice(0, -1), /steps up to 6 and no such test/],
    ["nothing", () => [], /steps up to 0 and no such test/],
    ["another file's text", () => ["<html>"], /line 1 of .*text that is not JSON/],
  ])("refuses metrics with %s in one sentence before it trains", (_, change, told) => {
    cpSync(join(folder, "run"), join(folder, "changed"), { recursive: true });
    const text = change(linesOf("run")).map((line) => `${line}\n`);
    writeFileSync(join(folder, "changed", "metrics.jsonl"), text.join(""));
    const { status, stdout, stderr } = peekaboo("reproduce", join(folder, "changed"));
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(told);
    expect(stderr).toMatch(/^[^\n]*metrics\.jsonl[^\n]*\n$/);
    expect(readdirSync(folder)).not.toContain("changed-reproduced");
  });
});

describe("a checkpoint that holds NaN or infinity", () => {
  const broken = () => join(folder, "broken.safetensors");
  const NAME = "layer1.0.bn1.running_var";

  beforeAll(() => {
    const { tensors, metadata } = readSafetensors(join(folder, "run", "best.safetensors"));
    const entry = tensors.get(NAME);
    if (entry === undefined) throw new TypeError("no such tensor");
    new Float32Array(entry.data.buffer, entry.data.byteOffset)[1] = Number.POSITIVE_INFINITY;
    const marks = Object.entries(metadata).filter(([key]) => !key.includes("checksum"));
    // With checksums of its own, lest it count as damaged.
    writeSafetensors(broken(), tensors, withChecksums([...tensors], Object.fromEntries(marks)));
  });

  it.each([
    ["evaluate", () => ["evaluate", broken()]],
    ["train --evaluate", () => ["train", ...NETWORK, ...RUN, "--resume", broken(), "--evaluate"]],
    [
      "load pretrained weights",
      () => ["train", ...NETWORK, ...RUN, "--load-pretrained", broken(), "--savedir", folder],
    ],
  ])("is refused by %s in one sentence that names the tensor", (operation, args) => {
    const { status, stdout, stderr } = peekaboo(...args());
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr).toContain(
      `${operation}: expected finite numbers for ${NAME} of "${broken()}", received NaN or infinity`,
    );
  });

  it("is pointed out by inspect and export", () => {
    expect(peekaboo("inspect", broken()).stdout).toMatch(new RegExp(`^NaN or ∞ +in ${NAME}$`, "m"));
    expect(JSON.parse(peekaboo("inspect", broken(), "--json").stdout)).toMatchObject({ nonfinite: [NAME] });
    const { status, stderr } = peekaboo("export", broken());
    expect([status, stderr]).toEqual([0, `Warning: ${NAME} holds NaN or infinity, and was written as it is.\n`]);
  });
});
