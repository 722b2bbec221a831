import { resolve } from "node:path";
import { writeFileInBackground } from "@peekaboo/files";
import { printable, quoted } from "@peekaboo/files/errors";
import type { TensorEntry } from "@peekaboo/files/safetensors";
import { nn, type optim, scope, type Tensor, tensorOf } from "@peekaboo/torch";
import type { Config, TrainConfig } from "../config/config.js";
import { IMAGE_FOLDER } from "../config/options.js";
import type { ImageShape } from "../data/batch.js";
import { Network, type NetworkOptions } from "../models/network.js";
import { isOutOfMemory } from "../native/memory.js";
import type { SignOptimizer } from "../optim/sign-optimizer.js";
import type { PruneReport } from "../pruning/loop.js";
import type { RecordedImages } from "../runs/recorded-images.js";
import { CheckpointContents } from "./checkpoint-contents.js";
import { BOP, CHECKPOINT_FORMAT, type Checkpoint, damaged, MASK, readCheckpoint, SGD, sortTensors } from "./format.js";
import { BEGINNING, type Progress } from "./progress.js";

/** Writes a pruned network that is still to be trained: weights, masks, settings and what each layer kept. */
export async function writePruned(
  path: string,
  network: Network,
  config: TrainConfig,
  report: PruneReport,
): Promise<void> {
  const { kept, total, layers } = report;
  const metadata = {
    ...metadataOf(network, config, BEGINNING),
    stage: "pruned",
    report: JSON.stringify({ kept, total, layers }),
  };
  await writeFileInBackground(path, new CheckpointContents(stateOf(network), metadata));
}

/** Writes a trained network without its optimisers. */
export async function writeNetwork(
  path: string,
  network: Network,
  config: TrainConfig,
  progress: Progress,
): Promise<void> {
  await writeFileInBackground(path, new CheckpointContents(stateOf(network), metadataOf(network, config, progress)));
}

/** What learns in a run. */
export interface Learning {
  readonly network: Network;
  /** null where SGD trains everything. */
  readonly bop: SignOptimizer | null;
  readonly sgd: optim.SGD;
}

/** Writes the network, its masks and both optimisers' states as one file, atomically. */
export async function writeCheckpoint(
  path: string,
  learning: Learning,
  config: TrainConfig,
  progress: Progress,
): Promise<void> {
  await writeFileInBackground(path, encodeCheckpoint(learning, config, progress));
}

/** The contents of such a file: of the tensors as they are while it is written. */
export function encodeCheckpoint(learning: Learning, config: TrainConfig, progress: Progress): CheckpointContents {
  const { network, bop, sgd } = learning;
  const tensors = stateOf(network);
  for (const [name, state] of bop?.stateDict() ?? []) {
    for (const [kind, tensor] of Object.entries(state)) tensors.push([`${BOP}${kind}.${name}`, tensor]);
  }
  for (const [key, tensor] of sgd.stateDict().tensors) tensors.push([`${SGD}${key}`, tensor]);
  return new CheckpointContents(tensors, metadataOf(network, config, progress));
}

/** A network's masks by the names that they have in files. */
export function namedMasks(network: Network): [string, Tensor][] {
  return [...network.masks()].map(([name, mask]) => [`${MASK}${name}`, mask]);
}

function stateOf(network: Network): [string, Tensor][] {
  return [...network.module.stateDict(), ...namedMasks(network)];
}

function metadataOf(network: Network, config: TrainConfig, progress: Progress): Record<string, string> {
  const { numClasses, classes } = network.options;
  return {
    format: CHECKPOINT_FORMAT,
    config: JSON.stringify(config),
    progress: JSON.stringify(progress),
    numClasses: String(numClasses),
    ...(classes === undefined ? {} : { classes: JSON.stringify(classes) }),
    imageShape: JSON.stringify(network.imageShape),
    ...(config.dataset === IMAGE_FOLDER && config.data !== null ? { folder: resolve(config.data) } : {}),
  };
}

/** What a network is built from. */
export type NetworkConfig = Config<
  "arch" | "width" | "dropout" | "psg" | "hiddenAct" | "hiddenDensity" | "scalingInput" | "conv"
>;

/** How a configuration builds its network for images of a data set. */
export function networkOptions(
  config: NetworkConfig,
  numClasses: number,
  imageShape: ImageShape,
  classes: readonly string[] | null = null,
): NetworkOptions {
  const { arch, width, dropout, psg, hiddenAct, hiddenDensity, scalingInput, conv } = config;
  return {
    arch,
    numClasses,
    imageShape,
    width,
    dropout,
    psg,
    scalingInput,
    conv,
    ...(classes === null ? {} : { classes }),
    ...(hiddenAct === null ? {} : { hiddenAct }),
    ...(hiddenDensity === null ? {} : { hiddenDensity }),
  };
}

/** A checkpoint's network, in evaluation mode. */
export interface LoadedNetwork {
  network: Network;
  config: TrainConfig;
  /** What it was trained on. */
  images: RecordedImages;
  /** Where its run stood. */
  progress: Progress;
}

/**
 * Builds the network that a checkpoint holds.
 *
 * @throws {UserError} when the file is no checkpoint, is damaged, or doesn't fit the architecture that it names.
 */
export function loadNetwork(path: string): LoadedNetwork {
  const checkpoint = readCheckpoint(path);
  const { config } = checkpoint;
  const network = buildNetwork(checkpoint);
  try {
    restoreWeights(network, checkpoint);
  } catch (error) {
    network.dispose();
    throw error;
  }
  network.module.eval();
  const { numClasses, classes, imageShape, folder, progress } = checkpoint;
  return { network, config, images: { path, config, numClasses, classes, imageShape, folder }, progress };
}

/** The network that a checkpoint tells of. @throws {UserError} when that is far from what the file holds. */
function buildNetwork({ path, config, numClasses, classes, imageShape, tensors }: Checkpoint): Network {
  const { arch, width } = config;
  // Before memory is asked for: each network has an output for each class.
  const hasOutputs = [...tensors.values()].some(({ shape }) => shape[0] === numClasses && !shape.includes(0));
  if (!hasOutputs) throw damaged(path, `a network with ${numClasses} outputs, as it says`, "none");
  try {
    return new Network(networkOptions(config, numClasses, imageShape, classes));
  } catch (error) {
    if (!isOutOfMemory(error)) throw error;
    throw damaged(path, "a network that fits in memory", `${arch} of width ${width} with ${numClasses} classes`);
  }
}

/** Takes over weights and masks. @throws {UserError}, listing the first few differences, when they are another network's. */
export function restoreWeights(network: Network, { path, tensors }: Pick<Checkpoint, "path" | "tensors">): void {
  const { state: own, masks } = sortTensors(tensors);
  nn.refuseDifference(network.module.compareState(own), `load ${quoted(path)}`);
  restoreMasks(network, masks, path);
  scope(() => network.module.loadStateDict(shared(own)));
}

/** Takes over a file's masks, by their weights' names. @throws {UserError}, listing the first few differences, when they are another network's. */
export function restoreMasks(network: Network, masks: ReadonlyMap<string, TensorEntry>, path: string): void {
  refuseOtherMasks(network, masks, path);
  scope(() => network.setMasks(shared(masks)));
}

/** @throws {UserError}, listing the first few, for masks that no prunable weight of the network has. */
function refuseOtherMasks(network: Network, masks: ReadonlyMap<string, TensorEntry>, path: string): void {
  const weights = new Map([...network.prunable()].map(([name, { weight }]) => [name, weight.shape]));
  const misshaped = [...masks].flatMap(([name, { shape: received }]) => {
    const expected = weights.get(name);
    return expected === undefined || expected.join() === received.join() ? [] : [{ name, expected, received }];
  });
  const unexpected = [...masks.keys()].filter((name) => !weights.has(name));
  nn.refuseDifference({ missing: [], unexpected, misshaped }, `load the masks of ${quoted(path)}`);
  for (const [name, { dtype, data }] of masks) {
    const wrong = dtype === "U8" ? data.find((value) => value > 1) : dtype;
    if (wrong !== undefined) throw damaged(path, `0 or 1 everywhere in ${printable(`${MASK}${name}`)}`, String(wrong));
  }
}

/**
 * Gives both optimisers the state that a checkpoint holds; parameters that it has none of start anew.
 *
 * @throws {UserError} when it holds another optimiser's or network's state.
 */
export function restoreOptimizers(
  { bop, sgd }: Pick<Learning, "bop" | "sgd">,
  { path, config, tensors }: Pick<Checkpoint, "path" | "config" | "tensors">,
): void {
  const { bop: signs, sgd: rest } = sortTensors(tensors);
  if (bop === null && signs.size > 0) throw damaged(path, "a run of the optimiser SGD", `one of ${config.optimizer}`);
  scope(() => {
    const states = new Map<string, Record<string, Tensor>>();
    for (const [key, entry] of signs) {
      const [, kind = "", name = ""] = /^(\w+)\.(.+)$/.exec(key) ?? [];
      states.set(name, { ...states.get(name), [kind]: tensorOf(entry, { share: true }) });
    }
    bop?.loadStateDict(states);
    sgd.loadStateDict({ tensors: shared(rest), numbers: {} });
  });
}

/** Tensors on the bytes of the file. */
function shared(entries: ReadonlyMap<string, TensorEntry>): Map<string, Tensor> {
  return new Map([...entries].map(([name, entry]) => [name, tensorOf(entry, { share: true })]));
}
