import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { writeSafetensors } from "@peekaboo/files";
import { UserError } from "@peekaboo/files/errors";
import type { TensorEntry } from "@peekaboo/files/safetensors";
import { writePth } from "@peekaboo/pth";
import { entryOf, liveTensorCount, type Tensor } from "@peekaboo/torch";
import { afterEach, describe, expect } from "vitest";
import { it } from "../../../../tests/support/folder.js";
import { parseConfig } from "../config/config.js";
import { Network } from "../models/network.js";
import { prune } from "../pruning/loop.js";
import { magnitude } from "../pruning/pruners/magnitude.js";
import { Trainer } from "../training/trainer.js";
import { writeCheckpoint } from "./checkpoint.js";
import { loadPretrained } from "./pretrained.js";
import { BEGINNING } from "./progress.js";
import { findState } from "./state-file.js";

type Entries = [string, TensorEntry][];

const OPTIONS = { arch: "ResNet20", width: 0.25, numClasses: 10 };
let path: string;
let network: Network;
/** Another seed's network, what files are made of. */
let source: Network;

it.beforeEach(({ folder }) => {
  path = join(folder, "weights");
  network = new Network(OPTIONS);
  network.initialise("kaiming_normal", 1);
  source = new Network(OPTIONS);
  source.initialise("kaiming_normal", 2);
});
afterEach(() => {
  network.dispose();
  source.dispose();
});

const values = (state: ReadonlyMap<string, Tensor>) =>
  Object.fromEntries([...state].map(([name, tensor]) => [name, tensor.toTypedArray()]));
const stateOf = ({ module }: Network) => values(module.stateDict());
const entriesOf = ({ module }: Network): Entries =>
  [...module.stateDict()].map(([name, tensor]) => [name, entryOf(tensor)]);
const mapped = (entries: Entries, change: (name: string, entry: TensorEntry) => [string, TensorEntry]): Entries =>
  entries.map(([name, entry]) => change(name, entry));

/** What loading says; the network must then have the source's state. */
async function loaded(): Promise<string> {
  expect(stateOf(network)).not.toEqual(stateOf(source));
  let said = "";
  await loadPretrained(network, path, (text) => {
    said = text;
  });
  expect(stateOf(network)).toEqual(stateOf(source));
  return said;
}

describe("loadPretrained", () => {
  it("takes a safetensors state whatever the file is called, and leaves no tensor behind", async () => {
    writeSafetensors(path, entriesOf(source));
    const before = liveTensorCount();
    expect(await loaded()).toBe(`${path}: loaded 107 tensors.`);
    expect(liveTensorCount()).toBe(before);
  });

  it("takes a .pth state with DataParallel's prefix", async () => {
    await writePth(
      path,
      mapped(entriesOf(source), (name, entry) => [`module.${name}`, entry]),
    );
    expect(await loaded()).toBe(`${path}: loaded 107 tensors, without the "module." before their names.`);
  });

  it.each(["model.", "net.", "_orig_mod.", "module._orig_mod.", "backbone.encoder.", "layer1.0."])(
    "takes a state with %s before every name, of either kind of file",
    async (prefix) => {
      const count: TensorEntry = { dtype: "I64", shape: [], data: new Uint8Array(8) };
      const entries = mapped([...entriesOf(source), ["bn1.num_batches_tracked", count]], (name, entry) => [
        prefix + name,
        entry,
      ]);
      writeSafetensors(path, entries);
      const told = `${path}: loaded 107 tensors, without the "${prefix}" before their names, ignored 1 num_batches_tracked.`;
      expect(await loaded()).toBe(told);
      network.dispose();
      network = new Network(OPTIONS);
      network.initialise("kaiming_normal", 1);
      await writePth(path, entries);
      expect(await loaded()).toBe(told);
    },
  );

  it("refuses two states that fit alike, and names beside the prefix, telling them", async () => {
    const twice = ["student.", "teacher."].flatMap((prefix) =>
      mapped(entriesOf(source), (name, entry) => [prefix + name, entry]),
    );
    writeSafetensors(path, twice);
    await refused(
      "one state that fits the network",
      '2 (with "student." before its names, with "teacher." before its names)',
    );
    const beside: Entries = [["criterion.weight", { dtype: "F32", shape: [1], data: new Uint8Array(4) }]];
    writeSafetensors(path, [...mapped(entriesOf(source), (name, entry) => [`model.${name}`, entry]), ...beside]);
    await refused('"model." before every name', '"criterion.weight" without it');
  });

  it("compares what is behind a prefix where it doesn't fit", async () => {
    const some = mapped(entriesOf(source), (name, entry) => [`model.${name}`, entry]).slice(1);
    writeSafetensors(path, some);
    await refused("1 missing (conv1.weight)");
    const mixed = mapped(entriesOf(source), (name, entry) => [
      name.startsWith("layer") ? `module.${name}` : name,
      entry,
    ]);
    writeSafetensors(path, mixed);
    await refused("missing", "unexpected (module.layer");
  });

  it("ignores, and tells, counters and masks in both spellings", async () => {
    const count: TensorEntry = { dtype: "I64", shape: [], data: new Uint8Array(8) };
    const mask: TensorEntry = { dtype: "F32", shape: [1], data: new Uint8Array(4) };
    const extras: Entries = [
      ["bn1.num_batches_tracked", count],
      ["conv1.mask", mask],
      ["layer1.0.conv1.weight_mask", mask],
      ["mask.conv1.weight", mask],
    ];
    await writePth(path, [...entriesOf(source), ...extras]);
    expect(await loaded()).toBe(`${path}: loaded 107 tensors, ignored 1 num_batches_tracked, 3 masks.`);
  });

  it("takes a checkpoint of ours without its masks and optimisers", async () => {
    const config = parseConfig({ arch: "ResNet20", width: 0.25, optimizer: "BOP" });
    const options = { density: 0.5, iterations: 1, schedule: "linear", scope: "local" } as const;
    await prune(source, { pruner: magnitude, ...options, imageShape: [3, 32, 32] });
    const trainer = new Trainer(source, config);
    await writeCheckpoint(path, trainer, config, BEGINNING);
    expect(await loaded()).toBe(`${path}: loaded 107 tensors, ignored 21 masks.`);
    expect(network.masks().size).toBe(0);
    trainer.dispose();
  });

  it("converts doubles to float32", async () => {
    const double = ({ shape, data }: TensorEntry): TensorEntry => {
      const numbers = Float64Array.from(new Float32Array(data.buffer, data.byteOffset, data.byteLength / 4));
      return { dtype: "F64", shape, data: new Uint8Array(numbers.buffer) };
    };
    writeSafetensors(
      path,
      mapped(entriesOf(source), (name, entry) => [name, double(entry)]),
    );
    await loaded();
  });

  it("says that a head is for another number of classes", async () => {
    const other = new Network({ ...OPTIONS, numClasses: 100 });
    writeSafetensors(path, entriesOf(other));
    other.dispose();
    await refused("an output layer for the data set's 10 classes", "received one for 100");
  });

  it("lists names that are missing, unexpected or of another shape", async () => {
    const renamed = mapped(entriesOf(source), (name, entry) => [name.replace("bn1.weight", "bn1.gamma"), entry]);
    writeSafetensors(path, renamed);
    await refused("10 missing (bn1.weight,", "10 unexpected (bn1.gamma,", "and 7 more");
    const wide = new Network({ ...OPTIONS, width: 0.5 });
    writeSafetensors(path, entriesOf(wide));
    wide.dispose();
    await refused("of another shape (conv1.weight [8,3,3,3] instead of [4,3,3,3]");
  });

  it("refuses integers in place of weights", async () => {
    const integers = mapped(entriesOf(source), (name, { shape, data }) => [name, { dtype: "I32", shape, data }]);
    writeSafetensors(path, integers);
    await refused("floating-point numbers", "received I32");
  });

  it("refuses what is neither kind of file, or not there", async () => {
    writeFileSync(path, "conv1.weight = 3\n");
    await refused("a safetensors file or a .pth file that torch.save wrote");
    writeFileSync(path, "");
    await refused("a safetensors file or a .pth file that torch.save wrote");
    rmSync(path);
    await refused("an existing file");
  });
});

/** The sentence has these words, and nothing was copied. */
async function refused(...words: string[]): Promise<void> {
  const before = stateOf(network);
  const live = liveTensorCount();
  const error: unknown = await loadPretrained(network, path).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(UserError);
  for (const word of words) expect(String(error)).toContain(word);
  expect(stateOf(network)).toEqual(before);
  expect(liveTensorCount()).toBe(live);
}

describe("findState", () => {
  const fixture = (name: string) => fileURLToPath(new URL(`../../../pth/src/fixtures/${name}.pth`, import.meta.url));
  const NAMES = [
    "conv.weight",
    ...["weight", "bias", "running_mean", "running_var", "num_batches_tracked"].map((name) => `bn.${name}`),
    ...["linear.weight", "linear.bias"],
  ];

  const WANTED = NAMES.filter((name) => !name.endsWith("num_batches_tracked"));

  it.each(["state", "checkpoint", "parallel", "legacy"])("finds the state in PyTorch's %s.pth", async (name) => {
    const { entries } = await findState(fixture(name), new Set(WANTED));
    expect([...entries.keys()]).toEqual(NAMES);
  });

  it("finds the state among what a training script saves", async () => {
    const { entries, place, prefix } = await findState(fixture("training"), new Set(WANTED));
    expect([place, prefix]).toEqual(["model", "_orig_mod.module."]);
    expect([...entries.keys()]).toEqual(NAMES);
    await expect(findState(fixture("two"), new Set(WANTED))).rejects.toThrow('with "student." before its names');
  });

  it("says what is there instead of a state", async () => {
    await expect(findState(fixture("views"), new Set(WANTED))).rejects.toThrow('a tensor under "nested"');
    await expect(findState(fixture("module"), new Set(WANTED))).rejects.toThrow(
      "torch.nn.modules.container.Sequential",
    );
  });
});
