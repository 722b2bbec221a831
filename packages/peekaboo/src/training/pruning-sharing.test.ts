import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { FileLock, readSafetensors, writeSafetensors } from "@peekaboo/files";
import { liveTensorCount, ops, setThreads, Tensor } from "@peekaboo/torch";
import { afterEach, beforeEach, describe, expect } from "vitest";
import { withChecksums } from "../../../../tests/support/checksums.js";
import { it } from "../../../../tests/support/folder.js";
import { SPECIAL_FILES } from "../../../../tests/support/special-files.js";
import { parseConfig } from "../config/config.js";
import { Interrupted } from "../console/interrupt.js";
import type { BatchSource } from "../data/batch-source.js";
import { Network } from "../models/network.js";
import { pruneShot } from "./prune-shot.js";

beforeEach(() => setThreads(1));
const networks: Network[] = [];
afterEach(() => {
  for (const network of networks.splice(0)) network.dispose();
});

/** Images of 3×8×8 that are all `value`. */
const imagesOf = (value: number): BatchSource => ({
  count: 4,
  imageShape: [3, 8, 8],
  async *training(order) {
    const target = Tensor.from(BigInt64Array.from({ length: order.length }, (_, i) => BigInt(i % 10)));
    yield { input: ops.full([order.length, 3, 8, 8], value), target };
  },
  async *plain() {},
  dispose() {},
});

interface Settings {
  run?: string;
  arch?: string;
  initSeed?: number;
  seed?: number;
  image?: number;
  dataset?: string;
  pruning?: object;
  onRound?: () => Promise<void>;
}

/** Prunes as one run of several; without a folder, for itself. */
async function prunedIn(folder: string | null, settings: Settings = {}) {
  const { run = "a", arch = "PsgResNet20", initSeed = 1, seed = 1, image = 0.5, dataset = "cifar10" } = settings;
  const { pruning, psg } = parseConfig({
    pruning: { pruner: "SynFlow", density: 0.2, iterations: 3, ...settings.pruning },
  });
  if (pruning === null) throw new Error("no pruning");
  const network = new Network({ arch, numClasses: 10, width: 0.25, psg, imageShape: [3, 8, 8] });
  networks.push(network);
  network.initialise("kaiming_normal", initSeed);
  const told: string[] = [];
  let begun = 0;
  const tell = (text: string) => void told.push(text);
  const reporter = { begin: () => void begun++, warn: tell, say: tell };
  const shot = await pruneShot({
    ...{ pruning, density: pruning.density, network, source: imagesOf(image), seed, epoch: 0, reporter },
    onRound: settings.onRound ?? (async () => {}),
    sharing: folder === null ? null : { folder, run, dataset },
  });
  const masks = [...network.masks()].map(([name, mask]) => [name, mask.dtype, mask.shape, mask.toArray()]);
  return { ...shot, masks, told, prunedItself: begun === 1 };
}

/** The one file of masks in a folder. */
function fileIn(folder: string): string {
  const [key = "", ...more] = readdirSync(folder);
  expect(more).toEqual([]);
  return join(folder, key, "masks.safetensors");
}

describe("a pruning that is shared", () => {
  it.for(["SynFlow", "SNIP", "GraSP", "Mag", "Rand", "ERK"])(
    "is what the run itself would have come to, with %s",
    async (pruner, { folder }) => {
      const settings = { pruning: { pruner } };
      const own = await prunedIn(null, settings);
      const first = await prunedIn(folder, { ...settings, run: "first" });
      const second = await prunedIn(folder, { ...settings, run: "second" });
      expect([own, first, second].map(({ prunedItself }) => prunedItself)).toEqual([true, true, false]);
      expect(second).toMatchObject({ report: own.report, seconds: first.seconds, takenFrom: "first", told: own.told });
      expect([first.masks, second.masks]).toEqual([own.masks, own.masks]);
      expect(readdirSync(join(fileIn(folder), ".."))).toEqual(["masks.safetensors"]);
    },
  );

  it("is one, with predicted gradients and without", async ({ folder }) => {
    const own = await prunedIn(null, { arch: "ResNet20" });
    await prunedIn(folder, { arch: "PsgResNet20" });
    const { masks, prunedItself } = await prunedIn(folder, { arch: "ResNet20" });
    expect([masks, prunedItself]).toEqual([own.masks, false]);
  });

  it.for<[string, Settings]>([
    ["pruner", { pruning: { pruner: "Mag" } }],
    ["density", { pruning: { density: 0.3 } }],
    ["rounds", { pruning: { iterations: 2 } }],
    ["schedule", { pruning: { schedule: "linear" } }],
    ["scope", { pruning: { scope: "local" } }],
    ["minimum", { pruning: { minKept: { weights: 1 } } }],
    ["shuffle", { pruning: { maskShuffle: true } }],
    ["seed", { seed: 2 }],
    ["weights", { initSeed: 2 }],
    ["images", { pruning: { pruner: "SNIP" }, image: 0.25 }],
    ["data set", { pruning: { pruner: "SNIP" }, dataset: "cifar100" }],
  ])("isn't with a run of another: %s", async ([, other], { folder }) => {
    await prunedIn(
      folder,
      other.image === undefined && other.dataset === undefined ? {} : { pruning: { pruner: "SNIP" } },
    );
    expect((await prunedIn(folder, other)).prunedItself).toBe(true);
    expect(readdirSync(folder)).toHaveLength(2);
  });

  it("isn't with a run of other threads", async ({ folder }) => {
    await prunedIn(folder);
    setThreads(2);
    expect((await prunedIn(folder)).prunedItself).toBe(true);
  });

  it("has other images that the pruner doesn't look at", async ({ folder }) => {
    await prunedIn(folder);
    expect((await prunedIn(folder, { image: 0.25, dataset: "cifar100" })).prunedItself).toBe(false);
  });

  it("is done by one of several runs at a time, and frees all that it made", async ({ folder }) => {
    await prunedIn(folder, { seed: 2 });
    const before = liveTensorCount();
    const runs = await Promise.all(["a", "b", "c"].map((run) => prunedIn(folder, { run })));
    expect(runs.filter(({ prunedItself }) => prunedItself)).toHaveLength(1);
    expect(new Set(runs.map(({ masks }) => JSON.stringify(masks))).size).toBe(1);
    const waited = runs.filter(({ prunedItself }) => !prunedItself).map(({ told }) => told);
    const sentence = "Another run is at the same pruning: waiting for its masks.";
    expect(waited).toEqual([[sentence], [sentence]]);
    for (const network of networks.splice(0)) network.dispose();
    expect(liveTensorCount()).toBeLessThan(before);
  });

  it("is waited for no longer when a signal comes, or its run is interrupted", async ({ folder }) => {
    const stopped = async () => {
      throw new Interrupted("SIGTERM");
    };
    let waiting: Promise<void> | undefined;
    const onRound = async () => {
      waiting ??= expect(prunedIn(folder, { onRound: stopped })).rejects.toThrow(Interrupted);
      await waiting;
    };
    await prunedIn(folder, { run: "slow", onRound });
    await expect(prunedIn(folder, { seed: 2, onRound: stopped })).rejects.toThrow(Interrupted);
    expect((await prunedIn(folder, { seed: 2 })).prunedItself).toBe(true);
    expect((await prunedIn(folder)).takenFrom).toBe("slow");
  });
});

/** Changes the header's metadata, or the tensors, of a file, and seals it again. */
function edit(
  file: string,
  { metadata = {}, drop, fill, sealed = true }: { metadata?: object; drop?: string; fill?: number; sealed?: boolean },
): void {
  const found = readSafetensors(file);
  const { checksum: _, checksums: __, ...rest } = { ...found.metadata, ...metadata };
  const tensors = [...found.tensors].filter(([name]) => name !== drop);
  if (fill !== undefined) for (const [, { data }] of tensors) data.fill(fill);
  writeSafetensors(file, tensors, sealed ? withChecksums(tensors, rest) : rest);
}

describe("a file of masks that isn't as it was written", () => {
  it.for<[string, (file: string) => void, RegExp]>([
    ["empty", (file) => writeFileSync(file, ""), /received/],
    ["cut", (file) => writeFileSync(file, readFileSync(file).subarray(0, -1)), /received/],
    [
      "changed",
      (file) => {
        const bytes = readFileSync(file);
        bytes[bytes.length - 1] = 1 - (bytes.at(-1) ?? 0);
        writeFileSync(file, bytes);
      },
      /expected contents that agree with their checksums, received another tensor/,
    ],
    ["of another format", (file) => edit(file, { metadata: { format: "x" } }), /expected the mark peekaboo-masks\/1/],
    ["of another pruning", (file) => edit(file, { metadata: { key: "x" } }), /received another's/],
    ["without checksums", (file) => edit(file, { sealed: false }), /expected contents that agree/],
    ["without an origin", (file) => edit(file, { metadata: { origin: "[" } }), /expected where the masks come from/],
    [
      "without a layer",
      (file) => edit(file, { drop: "mask.layer1.0.conv1.weight" }),
      /expected the masks of \d+ weights/,
    ],
    ["of zeros", (file) => edit(file, { fill: 0 }), /expected some weights to keep, received none/],
    ["of twos", (file) => edit(file, { fill: 2 }), /received/],
  ])("is told in one sentence, and replaced by the run's own: %s", async ([, damage, words], { folder }) => {
    const { masks } = await prunedIn(folder);
    const file = fileIn(folder);
    const whole = readSafetensors(file).tensors;
    damage(file);
    const run = await prunedIn(folder, { run: "b" });
    expect([run.masks, run.prunedItself, run.told.length]).toEqual([masks, true, 1]);
    expect(run.told[0]).toMatch(
      /^[^\n]*masks\.safetensors holds no masks for this run, which prunes for itself \([^\n]*\)\.$/,
    );
    expect(run.told[0]).toMatch(words);
    expect(readSafetensors(file).tensors).toEqual(whole);
    expect(await prunedIn(folder)).toMatchObject({ takenFrom: "b", masks, told: [] });
  });

  it.for(Object.keys(SPECIAL_FILES))("or is %s stops no run", async (kind, { folder }) => {
    const { masks } = await prunedIn(folder);
    const file = fileIn(folder);
    rmSync(file);
    SPECIAL_FILES[kind]?.(file);
    const run = await prunedIn(folder, { run: "b" });
    expect([run.masks, run.prunedItself]).toEqual([masks, true]);
    expect(run.told.every((text) => /^[^\n]*masks\.safetensors[^\n]*\.$/.test(text))).toBe(true);
  });
});

describe("a place that can't be used", () => {
  it("costs a warning, and the run prunes for itself", async ({ folder }) => {
    await prunedIn(folder);
    const [key = ""] = readdirSync(folder);
    rmSync(join(folder, key), { recursive: true });
    writeFileSync(join(folder, key), "");
    const first = await prunedIn(folder);
    expect([first.prunedItself, first.told]).toEqual([
      true,
      [expect.stringMatching(/^this run prunes for itself: [^\n]*\.$/)],
    ]);
    rmSync(join(folder, key));
    mkdirSync(join(folder, key, "pruning.lock"), { recursive: true });
    const second = await prunedIn(folder);
    expect([second.prunedItself, second.told]).toEqual([true, [expect.stringMatching(/pruning\.lock/)]]);
  });

  it("loses what a killed run had begun to write, and the lock that it held", async ({ folder }) => {
    await prunedIn(folder);
    const file = fileIn(folder);
    rmSync(file);
    const lock = join(file, "../pruning.lock");
    const held = await FileLock.acquire(lock, { operation: "train", onHeld: () => {} });
    const holder = JSON.parse(readFileSync(lock, "utf8"));
    held.release();
    // Another process of that number.
    writeFileSync(lock, JSON.stringify({ ...holder, began: "1" }));
    writeFileSync(join(file, "../.writing-1.tmp"), "");
    expect(await prunedIn(folder)).toMatchObject({ prunedItself: true, told: [] });
    expect(readdirSync(join(file, ".."))).toEqual(["masks.safetensors"]);
  });
});
