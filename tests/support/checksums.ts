import { createHash } from "node:crypto";
import type { TensorEntry } from "@peekaboo/files/safetensors";
import { sealed } from "../../packages/peekaboo/src/checkpoint/checksums.js";

/** The metadata of a checkpoint that holds these tensors, sealed with their checksums. */
export function withChecksums(
  tensors: Iterable<readonly [string, TensorEntry]>,
  metadata: Readonly<Record<string, string>>,
): Record<string, string> {
  const sum = (data: Uint8Array) => createHash("sha256").update(data).digest("hex");
  const summed = [...tensors].map(
    ([name, { dtype, shape, data }]) => [name, { dtype, shape, sum: sum(data) }] as const,
  );
  return sealed(new Map(summed), metadata);
}
