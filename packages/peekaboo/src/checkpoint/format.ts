import { readSafetensors } from "@peekaboo/files";
import { parseJson, printable, quoted, UserError } from "@peekaboo/files/errors";
import type { SafetensorsFile, TensorEntry } from "@peekaboo/files/safetensors";
import { z } from "zod";
import { parseSavedConfig, type TrainConfig } from "../config/config.js";
import type { ImageShape } from "../data/batch.js";
import { issueInWords } from "../issue.js";
import type { RecordedImages } from "../runs/recorded-images.js";
import { verifyChecksums } from "./checksums.js";
import { isPabFile } from "./pab-file.js";
import { type Progress, progressSchema } from "./progress.js";

/** The mark of a checkpoint's layout, in its metadata. */
export const CHECKPOINT_FORMAT = "peekaboo-checkpoint/1";

/** What stands before the names of a layer's mask and of the optimisers' tensors; the network's own have nothing. */
export const MASK = "mask.";
export const BOP = "bop.";
export const SGD = "sgd.";

type Tensors = ReadonlyMap<string, TensorEntry>;

/** A file's tensors by what they belong to, without those prefixes. */
export interface CheckpointTensors {
  state: Map<string, TensorEntry>;
  masks: Map<string, TensorEntry>;
  bop: Map<string, TensorEntry>;
  sgd: Map<string, TensorEntry>;
}

/** Sorts a file's tensors. */
export function sortTensors(tensors: Tensors): CheckpointTensors {
  const sorted = { state: new Map(), masks: new Map(), bop: new Map(), sgd: new Map() };
  const kinds = [
    [MASK, sorted.masks],
    [BOP, sorted.bop],
    [SGD, sorted.sgd],
    ["", sorted.state],
  ] as const;
  for (const [name, entry] of tensors) {
    const [prefix, kind] = kinds.find(([beginning]) => name.startsWith(beginning)) ?? ["", sorted.state];
    kind.set(name.slice(prefix.length), entry);
  }
  return sorted;
}

/** A checkpoint as read: its tensors are still in the file's bytes. */
export interface Checkpoint extends RecordedImages {
  /** Whether a training is to begin from it, or to go on. */
  stage: "pruned" | "training";
  progress: Progress;
  tensors: SafetensorsFile["tensors"];
}

/** Reads a checkpoint. @throws {UserError} when the file is none, or is damaged. */
export function readCheckpoint(path: string): Checkpoint {
  if (isPabFile("load checkpoint", path))
    throw damaged(path, "a checkpoint", "a .pab file").withRemedy("make a checkpoint of it by `peekaboo import`");
  const file = readSafetensors(path);
  verifyChecksums(path, file);
  const { metadata, tensors } = file;
  const images = recordedImages(path, file);
  const progress = parsed(path, progressSchema, "where the run stood", metadata.progress ?? "");
  const stage = metadata.stage === "pruned" ? "pruned" : "training";
  return { ...images, stage, progress, tensors };
}

/** What a checkpoint's metadata tells of the images. @throws {UserError} when the file is no checkpoint, or is damaged. */
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

const classesSchema = z.array(z.string().max(255)).nullable();
const SIDE = z.int().positive().max(4096);
const imageShapeSchema = z.tuple([z.union([z.literal(1), z.literal(3)]), SIDE, SIDE]);

/** [C, H, W] of the images; a file that tells none is for CIFAR. */
function imageShapeOf(path: string, { metadata }: Pick<SafetensorsFile, "metadata">): ImageShape {
  const shape = imageShapeSchema.safeParse(jsonOf(path, "an image shape", metadata.imageShape ?? "[3,32,32]"));
  if (!shape.success) throw damaged(path, "an image shape [C, H, W]", printable(metadata.imageShape ?? "none"));
  return shape.data;
}

/** The settings that a checkpoint's metadata hold. @throws {UserError} when the file is none, or is damaged. */
export function configOf(path: string, { metadata }: Pick<SafetensorsFile, "metadata">): TrainConfig {
  if (metadata.format !== CHECKPOINT_FORMAT) {
    throw damaged(
      path,
      `the mark ${CHECKPOINT_FORMAT}`,
      metadata.format === undefined ? "none" : quoted(metadata.format),
    );
  }
  return parseSavedConfig(jsonOf(path, "a configuration", metadata.config ?? ""));
}

/** What a piece of the metadata tells. @throws {UserError}, naming it, for anything else. */
export function parsed<T>(path: string, schema: z.ZodType<T>, what: string, text: string): T {
  const result = schema.safeParse(jsonOf(path, what, text));
  if (!result.success) throw damaged(path, what, issueInWords(result.error));
  return result.data;
}

function jsonOf(path: string, what: string, text: string): unknown {
  return parseJson(text, (received) => damaged(path, `${what} in JSON`, received));
}

/** The error for a file that isn't as a checkpoint is. */
export function damaged(path: string, expected: string, received: string): UserError {
  return new UserError({
    operation: "load checkpoint",
    argument: quoted(path),
    expected,
    received,
    remedy: "give a checkpoint that peekaboo wrote",
  });
}
