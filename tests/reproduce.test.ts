// A run on real CIFAR-10, run again and compared.
import { cpSync, existsSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readSafetensors, writeSafetensors } from "@peekaboo/files";
import { beforeAll, describe, expect, it } from "vitest";
import { withChecksums } from "./support/checksums.js";
import { peekaboo } from "./support/cli.js";
import { sharedFolder } from "./support/folder.js";

const folder = sharedFolder();

const RUN =
  "train --arch PsgResNet20 --width 0.25 --init-method kaiming_normal --optimizer BOP --ar 1e-2 --tau 1e-6 --psg-no-take-sign --psg-sparsify --msb-bits 8 --msb-bits-grad 16 --pruner SynFlow --prune-ratio 0.4 --prune-iters 2 --bs 32 --train-limit 96 --test-limit 64 --epochs 2".split(
    " ",
  );

const train = (name: string, ...more: string[]) => peekaboo(...RUN, "--savedir", folder, "--exp-name", name, ...more);
const file = (run: string, name: string) => join(folder, run, name);

/** A copy of a run with one of its files changed. */
function tampered(name: string, run: string, change: () => void): string {
  cpSync(join(folder, run), join(folder, name), { recursive: true });
  change();
  return join(folder, name);
}

beforeAll(() => {
  expect(train("run", "--threads", "1").status).toBe(0);
}, 300_000);

describe("peekaboo reproduce", () => {
  it("finds a run identical that is repeated beside it, with status 0", () => {
    const { status, stdout } = peekaboo("reproduce", join(folder, "run"));
    expect(stdout).toBe(
      [
        "environment  the same",
        "metrics      13 lines, the same but for times",
        "checkpoint   214 tensors, the same in every bit",
        `Identical: ${join(folder, "run-reproduced")} repeats ${join(folder, "run")}.\n`,
      ].join("\n"),
    );
    expect(status).toBe(0);
    const { environment } = JSON.parse(readFileSync(file("run", "config.json"), "utf8"));
    expect(environment).toMatchObject({ threads: 1, worldSize: 1, device: "cpu" });
    expect(environment.commandLine.slice(0, 3)).toEqual(["train", "--arch", "PsgResNet20"]);
    expect(environment.data["train.images.sha256"]).toMatch(/^[0-9a-f]{64}$/);
  });

  it("finds a changed weight, metrics line and version, with status 1, in --savedir", () => {
    const run = tampered("changed", "run", () => {
      const { tensors, metadata } = readSafetensors(file("changed", "checkpoint.safetensors"));
      const weight = tensors.get("linear.bias");
      if (weight === undefined) throw new TypeError("no such tensor");
      new Float32Array(weight.data.buffer, weight.data.byteOffset)[3] = 1.5;
      const marks = Object.entries(metadata).filter(([key]) => !key.includes("sha256") && !key.includes("checksum"));
      // With checksums of its own, lest it count as damaged.
      const own = withChecksums([...tensors], Object.fromEntries(marks));
      writeSafetensors(file("changed", "checkpoint.safetensors"), tensors, own);
      const lines = readFileSync(file("changed", "metrics.jsonl"), "utf8").split("\n");
      const third = { ...JSON.parse(lines[2] ?? ""), flips: 123456 };
      writeFileSync(file("changed", "metrics.jsonl"), lines.with(2, JSON.stringify(third)).join("\n"));
      const config = JSON.parse(readFileSync(file("changed", "config.json"), "utf8"));
      const environment = { ...config.environment, libtorch: "1.0.0" };
      writeFileSync(file("changed", "config.json"), JSON.stringify({ ...config, environment }));
    });
    const { status, stdout } = peekaboo("reproduce", run, "--savedir", join(folder, "elsewhere"), "--json");
    expect(status).toBe(1);
    const found = JSON.parse(stdout);
    expect(found).toMatchObject({
      run,
      reproduced: join(folder, "elsewhere", "changed-reproduced"),
      identical: false,
      environment: [{ name: "libtorch", original: '"1.0.0"' }],
      metrics: { first: { line: 3, kind: "step", epoch: 0, step: 2, name: "flips", original: "123456" } },
      checkpoint: { tensors: 214, differing: 1, first: { name: "linear.bias", index: 3, original: "1.5" } },
    });
  });

  it("repeats a run of two processes, with an environment that an older version wrote", () => {
    expect(train("two", "--nproc-per-node", "2", "--epochs", "1").status).toBe(0);
    const { environment, onNan: _, ...config } = JSON.parse(readFileSync(file("two", "config.json"), "utf8"));
    expect(environment.worldSize).toBe(2);
    const { node, libtorch, platform, threads, device } = environment;
    const old = { ...config, environment: { node, libtorch, platform, threads, device } };
    writeFileSync(file("two", "config.json"), JSON.stringify(old));
    const { status, stdout } = peekaboo("reproduce", join(folder, "two"));
    expect(stdout).toContain("Identical: ");
    expect(status).toBe(0);
    expect(JSON.parse(readFileSync(file("two-reproduced", "config.json"), "utf8")).environment.worldSize).toBe(2);
  });

  it.each([
    ["config.json", "config.json"],
    ["metrics.jsonl", "metrics.jsonl"],
    ["checkpoint.safetensors", "checkpoint.safetensors"],
  ])("refuses a run without %s in one sentence, with status 2, and repeats nothing", (_, missing) => {
    const name = `without-${missing}`;
    const run = tampered(name, "run", () => rmSync(file(name, missing)));
    const { status, stdout, stderr } = peekaboo("reproduce", run);
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(new RegExp(`^[^\\n]*${missing}[^\\n]*\\n$`));
    expect(existsSync(`${run}-reproduced`)).toBe(false);
  });

  it("refuses a run that isn't over, and a target that leads to the run itself", () => {
    const run = tampered("unfinished", "run", () => {
      const config = JSON.parse(readFileSync(file("unfinished", "config.json"), "utf8"));
      writeFileSync(file("unfinished", "config.json"), JSON.stringify({ ...config, epochs: 3 }));
    });
    const { status, stderr } = peekaboo("reproduce", run);
    expect(status).toBe(2);
    expect(stderr).toBe(
      `reproduce: expected a run that has come to its end for "${run}", received one that stopped after step 6; finish it with --resume, or give another.\n`,
    );
    symlinkSync(join(folder, "run"), join(folder, "link-reproduced"));
    symlinkSync(join(folder, "run"), join(folder, "link"));
    const before = readFileSync(file("run", "checkpoint.safetensors"));
    const linked = peekaboo("reproduce", join(folder, "link"));
    expect(linked.status).toBe(2);
    expect(linked.stderr).toContain("which leads to the run itself");
    expect(readFileSync(file("run", "checkpoint.safetensors")).equals(before)).toBe(true);
  });
});
