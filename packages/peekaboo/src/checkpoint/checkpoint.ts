import { resolve } from "node:path";
import { readSafetensors, writeFileInBackground } from "@peekaboo/files";
import { parseJson, printable, quoted, UserError } from "@peekaboo/files/errors";
import type { SafetensorsFile, TensorEntry } from "@peekaboo/files/safetensors";
import { nn, type optim, scope, type Tensor, tensorOf } from "@peekaboo/torch";
import { z } from "zod";
import { type Config, parseConfig, type TrainConfig } from "../config/config.js";
import { IMAGE_FOLDER } from "../config/options.js";
import type { ImageShape } from "../data/batch.js";
import { issueInWords } from "../issue.js";

import { Network, type NetworkOptions } from "../models/network.js";
import { isOutOfMemory } from "../native/memory.js";
import type { SignOptimizer } from "../optim/sign-optimizer.js";
import type { PruneReport } from "../pruning/loop.js";
import type { RecordedImages } from "../runs/recorded-images.js";
import { CheckpointContents } from "./checkpoint-contents.js";
import { verifyChecksums } from "./checksums.js";
import { BEGINNING, type Progress, progressSchema } from "./progress.js";

/** The mark of a checkpoint's layout, in its metadata. */
export const CHECKPOINT_FORMAT = "peekaboo-checkpoint/1";

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
    for (const [kind, tensor] of Object.entries(state)) tensors.push([`bop.${kind}.${name}`, tensor]);
  }
  for (const [key, tensor] of sgd.stateDict().tensors) tensors.push([`sgd.${key}`, tensor]);
  return new CheckpointContents(tensors, metadataOf(network, config, progress));
}

function stateOf(network: Network): [string, Tensor][] {
  const masks = [...network.masks()].map(([name, mask]): [string, Tensor] => [`mask.${name}`, mask]);
  return [...network.module.stateDict(), ...masks];
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
  "arch" | "width" | "dropout" | "psg" | "hiddenAct" | "hiddenDensity" | "scalingInput"
>;

/** How a configuration builds its network for images of a data set. */
export function networkOptions(
  config: NetworkConfig,
  numClasses: number,
  imageShape: ImageShape,
  classes: readonly string[] | null = null,
): NetworkOptions {
  const { arch, width, dropout, psg, hiddenAct, hiddenDensity, scalingInput } = config;
  return {
    arch,
    numClasses,
    imageShape,
    width,
    dropout,
    psg,
    scalingInput,
    ...(classes === null ? {} : { classes }),
    ...(hiddenAct === null ? {} : { hiddenAct }),
    ...(hiddenDensity === null ? {} : { hiddenDensity }),
  };
}

/** A checkpoint as read: its tensors are still in the file's bytes. */
export interface Checkpoint extends RecordedImages {
  /** Whether a training is to begin from it, or to go on. */
  stage: "pruned" | "training";
  progress: Progress;
  tensors: SafetensorsFile["tensors"];
}

/** Reads a checkpoint. Throws UserError when the file is none, or is damaged. */
export function readCheckpoint(path: string): Checkpoint {
  const file = readSafetensors(path);
  verifyChecksums(path, file);
  const { metadata, tensors } = file;
  const images = recordedImages(path, file);
  const progress = progressSchema.safeParse(jsonOf(path, "where the run stood", metadata.progress ?? ""));
  if (!progress.success) {
    throw damaged(path, "where the run stood", issueInWords(progress.error));
  }
  const stage = metadata.stage === "pruned" ? "pruned" : "training";
  return { ...images, stage, progress: progress.data, tensors };
}

/** What a checkpoint's metadata tells of the images. Throws UserError when the file is no checkpoint, or is damaged. */
export function recordedImages(path: string, file: Pick<SafetensorsFile, "metadata">): RecordedImages {
  const { metadata } = file;
  const config = configOf(path, file);
  const numClasses = Number(metadata.numClasses ?? Number.NaN);
  if (!Number.isSafeInteger(numClasses) || numClasses < 1) {
    throw damaged(path, "a number of classes", String(numClasses));
  }
  const classes = classesSchema.safeParse(jsonOf(path, "the classes", metadata.classes ?? "null"));
  if (!classes.success || (classes.data !== null && classes.data.length !== numClasses)) {
    throw damaged(path, `the names of ${numClasses} classes`, "something else");
  }
  const { folder = null } = metadata;
  return { path, config, numClasses, classes: classes.data, imageShape: imageShapeOf(path, file), folder };
}

/** A checkpoint's network, in evaluation mode. */
export interface LoadedNetwork {
  network: Network;
  config: TrainConfig;
  /** What it was trained on. */
  images: RecordedImages;
}

/**
 * Builds the network that a checkpoint holds.
 *
 * Throws UserError when the file is no checkpoint, is damaged, or doesn't fit the architecture that it names.
 */
export function loadNetwork(path: string): LoadedNetwork {
  const checkpoint = readCheckpoint(path);
  const { config } = checkpoint;
  const network = buildNetwork(checkpoint);
  try {
    restoreNetwork(network, checkpoint);
  } catch (error) {
    network.dispose();
    throw error;
  }
  network.module.eval();
  const { numClasses, classes, imageShape, folder } = checkpoint;
  return { network, config, images: { path, config, numClasses, classes, imageShape, folder } };
}

/** The network that a checkpoint tells of; throws UserError when that is far from what the file holds. */
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

/** Takes over weights and masks. Throws UserError, listing the first few differences, when they are another network's. */
export function restoreNetwork(network: Network, { path, tensors }: Pick<Checkpoint, "path" | "tensors">): void {
  const own = [...tensors].filter(([name]) => !/^(mask|bop|sgd)\./.test(name));
  const masks = withPrefix(tensors, "mask.");
  nn.refuseDifference(network.module.compareState(new Map(own)), `load ${quoted(path)}`);
  refuseOtherMasks(network, masks, path);
  scope(() => {
    network.module.loadStateDict(new Map(own.map(([name, entry]) => [name, tensorOf(entry, { share: true })])));
    network.setMasks(new Map([...masks].map(([name, entry]) => [name, tensorOf(entry, { share: true })])));
  });
}

/** Throws UserError, listing the first few, for masks that no prunable weight of the network has. */
export function refuseOtherMasks(network: Network, masks: ReadonlyMap<string, TensorEntry>, path: string): void {
  const weights = new Map([...network.prunable()].map(([name, { weight }]) => [name, weight.shape]));
  const misshaped = [...masks].flatMap(([name, { shape: received }]) => {
    const expected = weights.get(name);
    return expected === undefined || expected.join() === received.join() ? [] : [{ name, expected, received }];
  });
  const unexpected = [...masks.keys()].filter((name) => !weights.has(name));
  nn.refuseDifference({ missing: [], unexpected, misshaped }, `load the masks of ${quoted(path)}`);
  for (const [name, { dtype, data }] of masks) {
    const wrong = dtype === "U8" ? data.find((value) => value > 1) : dtype;
    if (wrong !== undefined) throw damaged(path, `0 or 1 everywhere in ${printable(`mask.${name}`)}`, String(wrong));
  }
}

/**
 * Gives both optimisers the state that a checkpoint holds; parameters that it has none of start anew.
 *
 * Throws UserError when it holds another optimiser's or network's state.
 */
export function restoreOptimizers(
  { bop, sgd }: Pick<Learning, "bop" | "sgd">,
  { path, config, tensors }: Pick<Checkpoint, "path" | "config" | "tensors">,
): void {
  const signs = withPrefix(tensors, "bop.");
  if (bop === null && signs.size > 0) throw damaged(path, "a run of the optimiser SGD", `one of ${config.optimizer}`);
  scope(() => {
    const states = new Map<string, Record<string, Tensor>>();
    for (const [key, entry] of signs) {
      const [, kind = "", name = ""] = /^(\w+)\.(.+)$/.exec(key) ?? [];
      states.set(name, { ...states.get(name), [kind]: tensorOf(entry, { share: true }) });
    }
    bop?.loadStateDict(states);
    const rest = [...withPrefix(tensors, "sgd.")].map(
      ([key, entry]) => [key, tensorOf(entry, { share: true })] as const,
    );
    sgd.loadStateDict({ tensors: new Map(rest), numbers: {} });
  });
}

function withPrefix(tensors: SafetensorsFile["tensors"], prefix: string): Map<string, TensorEntry> {
  const own = [...tensors].filter(([name]) => name.startsWith(prefix));
  return new Map(own.map(([name, entry]) => [name.slice(prefix.length), entry]));
}

const classesSchema = z.array(z.string().max(255)).nullable();
const SIDE = z.int().positive().max(4096);
const imageShapeSchema = z.tuple([z.union([z.literal(1), z.literal(3)]), SIDE, SIDE]);

/** [C, H, W] of the images; a file that tells none is for CIFAR. */
function imageShapeOf(path: string, { metadata }: Pick<SafetensorsFile, "metadata">): ImageShape {
  const shape = imageShapeSchema.safeParse(jsonOf(path, "an image shape", metadata.imageShape ?? "[3,32,32]"));
  if (!shape.success) throw damaged(path, "an image shape [C, H, W]", printable(metadata.imageShape ?? "none"));
  return shape.data;
}

function configOf(path: string, { metadata }: Pick<SafetensorsFile, "metadata">): TrainConfig {
  if (metadata.format !== CHECKPOINT_FORMAT) {
    throw damaged(
      path,
      `the mark ${CHECKPOINT_FORMAT}`,
      metadata.format === undefined ? "none" : quoted(metadata.format),
    );
  }
  return parseConfig(jsonOf(path, "a configuration", metadata.config ?? ""));
}

function jsonOf(path: string, what: string, text: string): unknown {
  return parseJson(text, (received) => damaged(path, `${what} in JSON`, received));
}

function damaged(path: string, expected: string, received: string): UserError {
  return new UserError({
    operation: "load checkpoint",
    argument: quoted(path),
    expected,
    received,
    remedy: "give a checkpoint that peekaboo wrote",
  });
}
