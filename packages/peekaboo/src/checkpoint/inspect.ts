import { statSync } from "node:fs";
import { readSafetensors } from "@peekaboo/files";
import { printable } from "@peekaboo/files/errors";
import { asTypedArray, numel, type TensorEntry } from "@peekaboo/files/safetensors";
import { z } from "zod";
import type { Config, TrainConfig } from "../config/config.js";
import { variantOf } from "../models/registry.js";
import { activeScores, type ScoreConfig } from "./active-scores.js";
import { verifyChecksums } from "./checksums.js";
import { toFloat32 } from "./float32.js";
import { type CheckpointTensors, configOf, damaged, MASK, parsed, sortTensors } from "./format.js";

/** One prunable tensor of a checkpoint. */
export interface LayerReport {
  readonly name: string;
  readonly shape: readonly number[];
  readonly kept: number;
  readonly total: number;
  /** Sign changes since the start; null when Bop has not touched it. */
  readonly flips: number | null;
}

/**
 * Bytes that a code without a model of masks and signs needs for the trained network (a .pab file, which has them, takes less): the
 * masks at their entropy per layer, or, where they were shuffled, a count a layer and the seed; the seed, and a sign for each kept weight, where Bop trained or latent scores
 * give signs; float32 for everything else.
 */
export interface IdealSize {
  readonly seed: number;
  readonly masks: number;
  readonly signs: number;
  readonly floats: number;
  readonly total: number;
}

/** What a checkpoint holds. */
export interface InspectReport {
  readonly file: string;
  /** Size of the file. */
  readonly bytes: number;
  readonly config: TrainConfig;
  /** Where the run stood; null where the checkpoint doesn't tell. */
  readonly progress: {
    readonly epoch: number | null;
    readonly step: number | null;
    /** Percent. */
    readonly bestAccuracy: number | null;
  };
  readonly layers: readonly LayerReport[];
  readonly kept: number;
  readonly total: number;
  readonly flips: number | null;
  /** The tensors of the network that hold NaN or infinity. */
  readonly nonfinite: readonly string[];
  /** Learnable numbers, pruned ones included. */
  readonly parameters: number;
  /** Bytes of the whole state as dense float32. */
  readonly denseBytes: number;
  readonly idealSize: IdealSize;
}

type Tensors = ReadonlyMap<string, TensorEntry>;

/** What is told of a run's progress. */
const standSchema = z.object({
  epoch: z.number().nullable().default(null),
  step: z.number().nullable().default(null),
  bestAccuracy: z.number().nullable().default(null),
});

/** Bop's tensors of a weight. */
const PER_WEIGHT = /^(momentum|variance|correction|flips)\./;
const STATISTIC = /(^|\.)(running_mean|running_var|num_batches_tracked)$/;
const SCORE = /\.(t|lo|hi)$/;
const SEED_BYTES = 8;
const COUNT_BYTES = 4;
const FLOAT_BYTES = 4;

/**
 * Reads what a checkpoint holds, without libtorch.
 * @throws {UserError} when the file is no checkpoint, or a damaged one.
 */
export function inspectFile(file: string): InspectReport {
  const contents = readSafetensors(file);
  verifyChecksums(file, contents);
  const config = configOf(file, contents);
  const { state, masks, bop } = sortTensors(contents.tensors);
  const layers = layerReports(file, config, { state, masks, bop });
  const flips = layers.flatMap((layer) => (layer.flips === null ? [] : [layer.flips]));
  const learnable = [...state].filter(([name]) => !STATISTIC.test(name));
  return {
    file,
    bytes: statSync(file).size,
    config,
    progress: parsed(file, standSchema, "where the run stood", contents.metadata.progress ?? "{}"),
    layers,
    kept: sum(layers.map((layer) => layer.kept)),
    total: sum(layers.map((layer) => layer.total)),
    flips: flips.length === 0 ? null : sum(flips),
    nonfinite: [...state]
      .filter(([, entry]) => toFloat32(entry)?.some((value) => !Number.isFinite(value)))
      .map(([name]) => name),
    parameters: sum(learnable.map(([, { shape }]) => numel(shape))),
    denseBytes: FLOAT_BYTES * sum(floatTensors(state).map(([, { shape }]) => numel(shape))),
    idealSize: idealSize(config, state, layers),
  };
}

/** The masked tensors; in a network without masks, the convolution weights. */
function layerReports(
  file: string,
  config: ScoreConfig,
  { state, masks, bop }: Omit<CheckpointTensors, "sgd">,
): LayerReport[] {
  const owners = [...bop.keys()].flatMap((name) => (PER_WEIGHT.test(name) ? [name.replace(PER_WEIGHT, "")] : []));
  for (const name of [...masks.keys(), ...owners]) {
    if (!state.has(name))
      throw damaged(file, `the weight ${printable(name)}, of which it has a mask or Bop's state`, "none");
  }
  const masked = [...state].filter(([name]) => masks.has(name));
  const prunable =
    masked.length > 0 ? masked : [...state].filter(([name, { shape }]) => /\.weight$/.test(name) && shape.length === 4);
  return prunable.map(([name, { shape }]) => {
    const mask = companion(file, masks, name, { dtype: "U8", shape });
    const flips = companion(file, bop, `flips.${name}`, { dtype: "I32", shape });
    const total = numel(shape);
    const scored = activeScores(config, state, name);
    const kept = mask === undefined && scored === null ? total : countOnes(file, name, both(mask, scored));
    return { name, shape, kept, total, flips: flips === undefined ? null : sum(flips) };
  });
}

/** The elements of a tensor that must have the shape of its weight, if it is there. */
function companion(
  file: string,
  tensors: Tensors,
  name: string,
  { dtype, shape }: { dtype: "U8" | "I32"; shape: readonly number[] },
) {
  const entry = tensors.get(name);
  if (entry === undefined) return undefined;
  if (entry.dtype !== dtype || entry.shape.join() !== shape.join()) {
    const expected = `${dtype} [${shape.join(", ")}] of the weight ${printable(name)}`;
    throw damaged(file, expected, `${entry.dtype} [${entry.shape.join(", ")}]`);
  }
  return dtype === "U8" ? entry.data : Int32Array.from(asTypedArray(entry), Number);
}

/** Where a weight is kept by its mask and by its score; what is absent keeps all. */
function both(mask: Uint8Array | Int32Array | undefined, scored: Uint8Array | null): Uint8Array | Int32Array {
  if (mask === undefined || scored === null) return mask ?? scored ?? new Uint8Array();
  return mask.map((value, i) => value * (scored[i] ?? 0));
}

function countOnes(file: string, name: string, mask: Uint8Array | Int32Array): number {
  let ones = 0;
  for (const value of mask) {
    if (value > 1) throw damaged(file, `0 or 1 everywhere in ${printable(`${MASK}${name}`)}`, `${value}`);
    ones += value;
  }
  return ones;
}

function idealSize(
  config: ScoreConfig & Config<"arch" | "pruning" | "optimizer">,
  state: Tensors,
  layers: readonly LayerReport[],
): IdealSize {
  const variant = variantOf(config.arch);
  const latent = variant === "seed" || variant === "psg-seed";
  const chooses = latent && ["pruning", "ternary", "edge-popup"].includes(config.hiddenAct ?? "");
  // A shuffled mask follows from the seed and its number of ones.
  const shuffled = config.pruning?.maskShuffle === true && !chooses;
  const masks = sum(layers.map(({ kept, total }) => (shuffled ? COUNT_BYTES : (total * entropy(kept / total)) / 8)));
  // Bop owns the convolutions and nothing else, and so do latent scores.
  const convolutions = layers.filter(({ shape }) => shape.length === 4);
  const seeded = config.optimizer !== "SGD" || latent ? convolutions : [];
  const signed = latent && !["flipping", "ternary", null].includes(config.hiddenAct) ? [] : seeded;
  const signs = sum(signed.map(({ kept }) => kept)) / 8;
  const pruned = sum(layers.filter((layer) => !seeded.includes(layer)).map(({ kept, total }) => total - kept));
  // What the seed and the signs tell: the weights, and with latent scores these and their thresholds.
  const told = sum(seeded.map(({ total }) => total));
  const scores = sum([...state].filter(([name]) => latent && SCORE.test(name)).map(([, { shape }]) => numel(shape)));
  const all = sum(floatTensors(state).map(([, { shape }]) => numel(shape)));
  const floats = FLOAT_BYTES * (all - pruned - told - scores);
  const seed = seeded.length === 0 && !shuffled ? 0 : SEED_BYTES;
  return { seed, masks, signs, floats, total: seed + masks + signs + floats };
}

/** Bits that one draw of probability `p` carries. */
function entropy(p: number): number {
  return p <= 0 || p >= 1 ? 0 : -p * Math.log2(p) - (1 - p) * Math.log2(1 - p);
}

function floatTensors(state: Tensors): [string, TensorEntry][] {
  return [...state].filter(([, { dtype }]) => dtype.includes("F"));
}

function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}
