// Every pruning flag of the real command line, on real CIFAR-10 with a small network.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { readSafetensors } from "@peekaboo/files";
import { shuffledMask } from "@peekaboo/seed";
import { describe, expect, it } from "vitest";
import { keptOf } from "../packages/peekaboo/src/pruning/selection.js";
import { peekaboo } from "./support/cli.js";
import { sharedFolder } from "./support/folder.js";

/** The prunable weights of the network below. */
const TOTAL = 4270;
const folder = sharedFolder();

interface PruneLine {
  epoch: number;
  shot: number;
  density: number;
  kept: number;
  total: number;
  layers: { name: string; kept: number; total: number }[];
  shuffled?: boolean;
}

/** One step an epoch; the masks are those that the last shot left. */
function train(name: string, flags: string) {
  const common =
    "--arch PsgResNet20 --width 0.125 --init-method kaiming_normal --optimizer BOP --bs 128 --train-limit 128 --test-limit 50";
  const args = ["train", ...common.split(" "), ...flags.split(" "), "--savedir", folder, "--exp-name", name];
  const { status, stdout, stderr } = peekaboo(...args);
  expect(stderr).not.toContain("Error");
  expect(status, stderr).toBe(0);
  const lines = readFileSync(join(folder, name, "metrics.jsonl"), "utf8")
    .trim()
    .split("\n");
  const prunings = lines
    .map((line) => JSON.parse(line) as PruneLine & { kind: string })
    .filter(({ kind }) => kind === "prune");
  const { tensors } = readSafetensors(join(folder, name, "checkpoint.safetensors"));
  const masks = new Map(
    [...tensors].flatMap(([key, { data, shape }]) =>
      key.startsWith("mask.") ? [[key.slice("mask.".length), { data, shape }] as const] : [],
    ),
  );
  return { prunings, masks, text: stdout + stderr };
}

const bits = ({ masks }: ReturnType<typeof train>) => Buffer.concat([...masks.values()].map(({ data }) => data));

describe.each(["SNIP", "GraSP"])("peekaboo train --pruner %s", { timeout: 300_000 }, (pruner) => {
  it("keeps the target, and tells each layer with --prune-verbose", () => {
    const { prunings, text } = train(pruner, `--pruner ${pruner} --prune-ratio 0.3 --prune-verbose --max-steps 1`);
    const [line] = prunings;
    expect(line).toMatchObject({ epoch: 0, shot: 0, density: 0.3, kept: keptOf(0.3, TOTAL), total: TOTAL });
    expect(line?.layers).toHaveLength(21);
    for (const { name, kept, total } of line?.layers ?? []) {
      expect(text).toMatch(new RegExp(`%\\s+${kept} of ${total}  ${name}`));
    }
  });

  it("keeps the same fraction of every layer with --prune-scope local", () => {
    const flags = `--pruner ${pruner} --prune-ratio 0.4 --prune-scope local --max-steps 1`;
    for (const { kept, total } of train(`${pruner}-local`, flags).prunings[0]?.layers ?? []) {
      expect(kept).toBe(keptOf(0.4, total));
    }
  });
});

describe("peekaboo train", { timeout: 300_000 }, () => {
  it("takes a hundred images in batches of --prune-batch-size, by the seed alone", () => {
    const flags = "--pruner SNIP --prune-ratio 0.3 --max-steps 1";
    const whole = bits(train("whole", flags));
    // Batches of 100 and of 256 are one and the same; 30 leaves a smaller last one, which counts as much as the others.
    expect(bits(train("hundred", `${flags} --prune-batch-size 100`)).equals(whole)).toBe(true);
    expect(bits(train("thirty", `${flags} --prune-batch-size 30`)).equals(whole)).toBe(false);
    expect(bits(train("seeded", `${flags} --seed 1`)).equals(whole)).toBe(false);
  });

  it("prunes in rounds on either schedule", () => {
    const flags = "--pruner SNIP --prune-ratio 0.1 --max-steps 1";
    const runs = [
      train("one-round", flags),
      train("exponential", `${flags} --prune-iters 3`),
      train("linear", `${flags} --prune-iters 3 --prune-schedule linear`),
    ];
    for (const { prunings } of runs) expect(prunings[0]?.kept).toBe(keptOf(0.1, TOTAL));
    expect(new Set(runs.map((run) => bits(run).toString("hex"))).size).toBe(3);
  });

  it("prunes in shots up to an epoch, and shuffles each shot's masks within the one's before", () => {
    const flags = "--pruner SynFlow --prune-iters 5 --prune-epoch 3 --prune-shots 2 --epochs 4 --prune-ratio 0.2";
    const { prunings, masks } = train("shots", `${flags} --mask-shuffle --seed 4`);
    expect(prunings.map(({ epoch, shot }) => [epoch, shot])).toEqual([
      [1, 0],
      [2, 1],
    ]);
    expect(prunings.map(({ kept }) => kept)).toEqual([0.6, 0.2].map((density) => keptOf(density, TOTAL)));
    expect(prunings.map(({ shuffled }) => shuffled)).toEqual([true, true]);
    for (const { name, kept } of prunings[1]?.layers ?? []) {
      const mask = masks.get(name);
      expect(Buffer.compare(mask?.data ?? Buffer.alloc(0), shuffledMask(4, name, mask?.shape ?? [], kept)), name).toBe(
        0,
      );
    }
    const config = JSON.parse(readFileSync(join(folder, "shots", "config.json"), "utf8")) as { pruning: unknown };
    expect(config.pruning).toMatchObject({ maskShuffle: true, epoch: 3, shots: 2, iterations: 5, density: 0.2 });
  });

  it("keeps --min-kept of each layer at the same density, names layers under 1 %, and refuses what can't fit at once", () => {
    const demo =
      "prune --arch PsgResNet18 --width 0.25 --init-method kaiming_normal --pruner SynFlow --prune-rat 0.3 --prune-iters 100";
    const prune = (...more: string[]) => {
      return peekaboo(...demo.split(" "), "--pruned-save-name", join(folder, "demo.safetensors"), ...more);
    };
    const inspect = () => peekaboo("inspect", join(folder, "demo.safetensors")).stdout;
    const plain = prune();
    expect(plain.status, plain.stderr).toBe(0);
    const thin = /less than 1 % is kept of layer4\.0\.shortcut\.0\.weight \d+ of 8,192 .*--min-kept 1%/;
    expect(plain.stderr).toMatch(thin);
    expect(inspect()).toMatch(thin);
    const [, kept] = /^Kept ([\d,]+) of/m.exec(plain.stderr) ?? [];
    const least = prune("--min-kept", "1%");
    expect(least.status, least.stderr).toBe(0);
    expect(least.stderr).not.toContain("less than 1 %");
    expect(/^Kept ([\d,]+) of/m.exec(least.stderr)?.[1]).toBe(kept);
    expect(inspect()).toMatch(/layer4\.0\.shortcut\.0\.weight +128×64×1×1 +82 +8,192/);
    expect(inspect()).toContain("at least 1% of each layer");
    const refused = prune("--min-kept", "40%");
    expect(refused.status).toBe(2);
    expect(refused.stderr).toMatch(
      /--min-kept 40%.*give --prune-ratio 0\.\d+ or more, or --min-kept 2\d\.\d+% or less\.$/m,
    );
    expect(refused.stderr).not.toContain("Kept");
  });

  it("divides what is kept by the layers' shapes with --prune-scope erk, of which ERK is the random kind", () => {
    const flags = "--prune-ratio 0.2 --max-steps 1";
    const synflow = train("synflow-erk", `--pruner SynFlow --prune-iters 5 --prune-scope erk ${flags}`);
    const spelled = train("rand-erk", `--pruner Rand --prune-scope erk --mask-shuffle ${flags}`);
    const old = train("old-erk", `--pruner ERK ${flags}`);
    const counts = old.prunings[0]?.layers?.map(({ kept }) => kept) ?? [];
    expect(counts.reduce((sum, kept) => sum + kept, 0)).toBe(keptOf(0.2, TOTAL));
    expect(new Set(counts).size).toBeGreaterThan(4);
    expect(synflow.prunings[0]?.layers?.map(({ kept }) => kept)).toEqual(counts);
    expect(bits(old).equals(bits(spelled))).toBe(true);
    expect(bits(old).equals(bits(synflow))).toBe(false);
  });

  it.each(["Rand", "ERK"])("prunes at random with %s", (pruner) => {
    const { prunings } = train(pruner, `--pruner ${pruner} --prune-ratio 0.05 --max-steps 1`);
    expect(prunings[0]?.kept).toBe(keptOf(0.05, TOTAL));
    expect(prunings[0]?.shuffled).toBeUndefined();
  });
});
