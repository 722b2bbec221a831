import { readSafetensors, writeFileInBackground } from "@peekaboo/files";
import { quoted } from "@peekaboo/files/errors";
import { z } from "zod";
import type { Network } from "../models/network.js";
import { namedMasks, restoreMasks } from "./checkpoint.js";
import { CheckpointContents } from "./checkpoint-contents.js";
import { verifyChecksums } from "./checksums.js";
import { damaged, parsed, sortTensors } from "./format.js";

const FORMAT = "peekaboo-masks/1";

/** What a file of masks tells of the pruning that they come from. */
export interface MasksOrigin {
  /** The name of the run that pruned. */
  readonly run: string;
  readonly seconds: number;
  /** How many weights are gone beyond the target, because their scores equal the threshold. */
  readonly tied: number;
}

const originSchema: z.ZodType<MasksOrigin> = z.object({
  run: z.string().max(1000),
  seconds: z.number().nonnegative(),
  tied: z.int().nonnegative(),
});

/**
 * Writes a network's masks as one file, whole or not at all; `key` stands for all that they follow from.
 *
 * @throws {UserError} when the path can't be written.
 */
export async function writeMasks(path: string, network: Network, key: string, origin: MasksOrigin): Promise<void> {
  const metadata = { format: FORMAT, key, origin: JSON.stringify(origin) };
  await writeFileInBackground(path, new CheckpointContents(namedMasks(network), metadata));
}

/**
 * Gives a network the masks that {@link writeMasks} wrote under the same key, and tells where they come from.
 *
 * @throws {UserError} for another file, one that is damaged, or one without a mask of each prunable weight; the network is as
 * it was then.
 */
export function readMasks(path: string, network: Network, key: string): MasksOrigin {
  const file = readSafetensors(path);
  const { metadata, tensors } = file;
  const { format, key: theirs } = metadata;
  if (format !== FORMAT) throw damaged(path, `the mark ${FORMAT}`, format === undefined ? "none" : quoted(format));
  if (theirs !== key) throw damaged(path, "the masks of this pruning", "another's");
  verifyChecksums(path, file, { needed: true });
  const origin = parsed(path, originSchema, "where the masks come from", metadata.origin ?? "");
  const { masks } = sortTensors(tensors);
  const prunable = network.prunable();
  const isWhole = masks.size === tensors.size && [...prunable.keys()].every((name) => masks.has(name));
  if (!isWhole)
    throw damaged(path, `the masks of ${prunable.size} weights, and nothing else`, `${tensors.size} tensors`);
  if (![...masks.values()].some(({ data }) => data.includes(1))) throw damaged(path, "some weights to keep", "none");
  restoreMasks(network, masks, path);
  return origin;
}
