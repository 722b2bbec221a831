import { entryOf, scope, type Tensor, tensorOf, UserError } from "@peekaboo/torch";
import { readSafetensors, type SafetensorsFile, type TensorEntry, writeSafetensors } from "@peekaboo/torch/safetensors";
import { z } from "zod";
import { parseConfig, type TrainConfig } from "../config.js";
import type { ImageShape } from "../models/architecture.js";
import { Network, type NetworkOptions } from "../models/network.js";
import type { Trainer } from "./trainer.js";

/** The mark of a checkpoint's layout, in its metadata. */
export const CHECKPOINT_FORMAT = "peekaboo-checkpoint/1";

/** Where the run stood when the checkpoint was written. */
export interface Progress {
  /** The epoch it was written in, from 0. */
  epoch: number;
  /** Optimiser steps done. */
  step: number;
  /** Percent; null before the first test. */
  bestAccuracy: number | null;
}

/** Writes the network, its masks and both optimisers' states as one file, atomically. */
export function writeCheckpoint(path: string, trainer: Trainer, config: TrainConfig, progress: Progress): void {
  const { network, bop, sgd } = trainer;
  const entries: [string, TensorEntry][] = [];
  const add = (name: string, tensor: Tensor) => entries.push([name, entryOf(tensor)]);
  for (const [name, tensor] of network.module.stateDict()) add(name, tensor);
  for (const [name, mask] of network.masks()) add(`mask.${name}`, mask);
  for (const [name, state] of bop?.stateDict() ?? []) {
    for (const [kind, tensor] of Object.entries(state)) add(`bop.${kind}.${name}`, tensor);
  }
  for (const [key, tensor] of sgd.stateDict().tensors) add(`sgd.${key}`, tensor);
  writeSafetensors(path, entries, {
    format: CHECKPOINT_FORMAT,
    config: JSON.stringify(config),
    progress: JSON.stringify(progress),
    numClasses: String(network.options.numClasses),
    imageShape: JSON.stringify(network.imageShape),
  });
}

/** How a configuration builds its network for images of a data set. */
export function networkOptions(config: TrainConfig, numClasses: number, imageShape: ImageShape): NetworkOptions {
  const { arch, width, dropout, psg, hiddenAct, hiddenDensity, scalingInput } = config;
  return {
    arch,
    numClasses,
    imageShape,
    width,
    dropout,
    psg,
    scalingInput,
    ...(hiddenAct === null ? {} : { hiddenAct }),
    ...(hiddenDensity === null ? {} : { hiddenDensity }),
  };
}

/** A checkpoint's network, in evaluation mode. */
export interface LoadedNetwork {
  network: Network;
  config: TrainConfig;
}

/**
 * Builds the network that a checkpoint holds.
 *
 * Throws UserError when the file is no checkpoint, is damaged, or doesn't fit the architecture that it names.
 */
export function loadNetwork(path: string): LoadedNetwork {
  const file = readSafetensors(path);
  const config = configOf(path, file);
  const numClasses = Number(file.metadata.numClasses ?? Number.NaN);
  if (!Number.isSafeInteger(numClasses) || numClasses < 1)
    throw damaged(path, "a number of classes", String(numClasses));
  const network = new Network(networkOptions(config, numClasses, imageShapeOf(path, file)));
  try {
    loadTensors(network, file);
  } catch (error) {
    network.dispose();
    throw error;
  }
  network.module.eval();
  return { network, config };
}

/**
 * Gives both optimisers the state that a checkpoint holds; parameters that it has none of start anew.
 *
 * Throws UserError when the file is no checkpoint, is damaged, or holds another optimiser's or network's state.
 */
export function loadOptimizers(path: string, { bop, sgd }: Pick<Trainer, "bop" | "sgd">): void {
  const file = readSafetensors(path);
  const { optimizer } = configOf(path, file);
  const signs = new Map<string, Record<string, Tensor>>();
  const rest = new Map<string, Tensor>();
  scope(() => {
    for (const [key, entry] of file.tensors) {
      const [, owner, kind = "", name = ""] = /^(bop|sgd)\.(\w+)\.(.+)$/.exec(key) ?? [];
      if (owner === "sgd") rest.set(`${kind}.${name}`, tensorOf(entry));
      if (owner !== "bop") continue;
      if (bop === null) throw damaged(path, "a run of the optimiser SGD", `one of ${optimizer}`);
      signs.set(name, { ...signs.get(name), [kind]: tensorOf(entry) });
    }
    bop?.loadStateDict(signs);
    sgd.loadStateDict({ tensors: rest, numbers: {} });
  });
}

function loadTensors(network: Network, { tensors }: SafetensorsFile): void {
  const own = [...tensors].filter(([name]) => !/^(mask|bop|sgd)\./.test(name));
  const state = new Map(own.map(([name, entry]) => [name, tensorOf(entry)]));
  network.module.loadStateDict(state);
  for (const tensor of state.values()) tensor.dispose();
  for (const [name, layer] of network.prunable()) {
    const entry = tensors.get(`mask.${name}`);
    if (entry === undefined) continue;
    if (entry.dtype !== "U8" || entry.shape.join() !== layer.weight.shape.join()) {
      throw new UserError({
        operation: "load checkpoint",
        argument: `mask.${name}`,
        expected: `U8 [${layer.weight.shape}]`,
        received: `${entry.dtype} [${entry.shape}]`,
        remedy: "the file is damaged: give a checkpoint that peekaboo wrote",
      });
    }
    layer.setMask(tensorOf(entry));
  }
}

const SIDE = z.int().positive().max(4096);
const imageShapeSchema = z.tuple([z.union([z.literal(1), z.literal(3)]), SIDE, SIDE]);

/** [C, H, W] of the images; a file that tells none is for CIFAR. */
function imageShapeOf(path: string, { metadata }: SafetensorsFile): ImageShape {
  const shape = imageShapeSchema.safeParse(jsonOf(path, "an image shape", metadata.imageShape ?? "[3,32,32]"));
  if (!shape.success) throw damaged(path, "an image shape [C, H, W]", metadata.imageShape ?? "none");
  return shape.data;
}

function configOf(path: string, { metadata }: SafetensorsFile): TrainConfig {
  if (metadata.format !== CHECKPOINT_FORMAT) {
    throw damaged(path, `the mark ${CHECKPOINT_FORMAT}`, metadata.format === undefined ? "none" : metadata.format);
  }
  return parseConfig(jsonOf(path, "a configuration", metadata.config ?? ""));
}

function jsonOf(path: string, what: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw damaged(path, `${what} in JSON`, "text that is not JSON");
  }
}

function damaged(path: string, expected: string, received: string): UserError {
  return new UserError({
    operation: "load checkpoint",
    argument: path,
    expected,
    received,
    remedy: "give a checkpoint that peekaboo wrote",
  });
}
