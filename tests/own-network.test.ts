// A network of one's own on the real command line: its file is run only where the user names it.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { INPUT } from "../packages/peekaboo/src/onnx/model-of.js";
import { type Ended, peekabooIn } from "./support/cli.js";
import { sharedFolder } from "./support/folder.js";

const folder = sharedFolder();
const SETTINGS =
  "--init-method kaiming_normal --pruner SynFlow --prune-ratio 0.3 --prune-iters 5 --optimizer BOP --ar 1e-2 --tau 1e-6 --bs 32";
const RUN = [...SETTINGS.split(" "), ..."--train-limit 128 --test-limit 100 --epochs 1 --savedir runs".split(" ")];

const NETWORK = `import { nn, ops } from "@peekaboo/torch";
class Block extends nn.Module {
  constructor(inChannels, outChannels) {
    super();
    this.conv = this.registerModule("conv", new nn.Conv2d({ inChannels, outChannels, kernelSize: 3, stride: 2, padding: 1 }));
    this.norm = this.registerModule("norm", new nn.BatchNorm2d(outChannels));
  }
  forward(input) {
    return ops.relu(this.norm.call(this.conv.call(input)));
  }
}
export default ({ numClasses, channels }) =>
  new nn.Sequential(
    new Block(3, channels(8)), new Block(channels(8), channels(16)),
    new nn.AdaptiveAvgPool2d(1), new nn.Flatten(), new nn.Linear(channels(16), numClasses),
  );
`;

const run = (...args: string[]): Ended => peekabooIn({ cwd: folder }, ...args);

function succeed(...args: string[]): string {
  const { status, stdout, stderr } = run(...args);
  expect([status, stderr], stderr).toEqual([0, expect.anything()]);
  return stdout;
}

beforeAll(() => {
  mkdirSync(join(folder, "moved"));
  for (const place of [".", "moved"]) writeFileSync(join(folder, place, "my-network.mjs"), NETWORK);
  const told = succeed("train", "--arch", "./my-network.mjs", ...RUN, "--exp-name", "own");
  expect(told).toContain("./my-network.mjs on CIFAR-10");
});

describe("a network of one's own", { timeout: 300_000 }, () => {
  it("that was trained is tested, exported, predicted with, imported and reproduced", () => {
    expect(succeed("models", "./my-network.mjs")).toContain("1,368 of them prunable");
    const best = "runs/own/best.safetensors";
    const tested = ["--test-limit", "100", "--json"];
    const accuracy = (file: string, ...more: string[]) =>
      (JSON.parse(succeed("evaluate", file, ...tested, ...more)) as { accuracy: number }).accuracy;

    // The file may have gone elsewhere.
    const arch = ["--arch", "moved/my-network.mjs"];
    const right = accuracy(best, ...arch);
    expect(accuracy("runs/own/best.pab")).toBeCloseTo(right, 5);
    expect(accuracy("runs/own/best.pab", "--engine", "torch", ...arch)).toBeCloseTo(right, 5);
    expect(succeed("inspect", best)).toContain("./my-network.mjs, width 1");
    expect(succeed("inspect", "runs/own/best.pab")).toContain("my-network.mjs");
    expect(succeed("export", best, "--format", "onnx", ...arch)).toContain(`${INPUT} [N, 3, 32, 32]`);
    expect(
      succeed("export", best, "--format", "pab", "--output", "again.pab", "--test-limit", "50", ...arch),
    ).toContain("again.pab");
    succeed("import", "runs/own/best.pab", "--output", "imported.safetensors", ...arch);
    expect(accuracy("imported.safetensors", ...arch)).toBeCloseTo(right, 5);
    const reproduced = run("reproduce", "runs/own", ...arch);
    expect(reproduced.status, reproduced.stdout + reproduced.stderr).toBe(0);
  });

  it.each(["evaluate", "export", "reproduce"])("isn't run by %s because a checkpoint names it", (command) => {
    const given = command === "reproduce" ? "runs/own" : "runs/own/best.safetensors";
    const { status, stderr } = run(command, given, ...(command === "export" ? ["--format", "pab", "--force"] : []));
    expect(status).toBe(2);
    expect(stderr).toContain('give --arch with the path of "my-network.mjs", whose code then runs.\n');
  });

  it("learns as its prefix says, and in two processes", () => {
    for (const [name, arch, ...more] of [
      ["plain", "plain:my-network.mjs"],
      ["seed", "seed:my-network.mjs", "--hidden-act", "flipping"],
      ["two", "my-network.mjs", "--nproc-per-node", "2"],
    ] as const) {
      const how = name === "seed" ? RUN.filter((word, i) => word !== "--pruner" && RUN[i - 1] !== "--pruner") : RUN;
      succeed("train", "--arch", arch, ...how, "--max-steps", "2", "--exp-name", name, ...more);
    }
  });

  it("is swept, and compared with what it computes", () => {
    const study = ["--prune-ratio", "0.1,0.3", "--max-steps", "2", "--savedir", "swept"];
    const own = RUN.filter(
      (word, i) => !/^--(prune-ratio|savedir)$/.test(word) && !/^--(prune-ratio|savedir)$/.test(RUN[i - 1] ?? ""),
    );
    expect(succeed("sweep", "--arch", "./my-network.mjs", ...own, ...study)).toContain("my-network.mjs");
    expect(run("report", "swept").stderr).toContain("give --arch with the path");
    expect(succeed("report", "swept", "--arch", "moved/my-network.mjs")).toContain("my-network.mjs");
  });

  it.each([
    ["a number", "export default 5;", "received a default that is a number"],
    ["nothing", "", "received no export"],
    ["an error while it is run", 'throw new Error("first\\nsecond");', "received first second"],
    ["what is no JavaScript", "const x = ;", "Unexpected token"],
    ["an error while it builds", 'export default () => { throw new TypeError("no such"); };', "received no such"],
    ["no module", "export default () => 3;", "received it gave number"],
    [
      "other images",
      "export default ({ nn }) => new nn.Linear(5, 10);",
      "one that takes images [N, 3, 32, 32] for its forward pass",
    ],
    [
      "other classes",
      "export default ({ nn }) => new nn.Sequential(new nn.Flatten(), new nn.Linear(3072, 7));",
      "received 7",
    ],
    [
      "a module of other classes",
      'import { nn } from "@peekaboo/torch"; export default new nn.Sequential(new nn.Flatten(), new nn.Linear(3072, 7));',
      "received 7",
    ],
    [
      "a description of other classes",
      'import { defineArchitecture } from "peekaboo"; export default defineArchitecture({ name: "D", build: ({ layers }) => layers.linear({ inFeatures: 32, outFeatures: 7 }) });',
      "received [N, 3, 32, 7]",
    ],
    [
      "nothing to prune",
      "export default ({ nn, ops }) => new nn.Sequential(new nn.MaxPool2d(32), new nn.Flatten());",
      "received 3",
    ],
  ])("that exports %s is refused in one sentence", (_, code, sentence) => {
    writeFileSync(join(folder, "bad.mjs"), code);
    const { status, stdout, stderr } = run("train", "--arch", "./bad.mjs", ...RUN, "--exp-name", "bad");
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr.trimEnd().split("\n").at(-1)).toContain(sentence);
    expect(stderr).not.toMatch(/^\s+at /m);
  });

  it("is refused when there is no such file, or no such export of it", () => {
    expect(run("train", "--arch", "./none.mjs").stderr).toContain('for "./none.mjs", received no such file');
    expect(run("train", "--arch", "./my-network.mjs#Other").stderr).toContain(
      'an export "Other" that builds a network',
    );
  });
});
