import { createHash } from "node:crypto";
import { quoted, UserError } from "@peekaboo/torch/errors";
import type { SafetensorsFile, TensorEntry } from "@peekaboo/torch/safetensors";

/** The metadata's keys: every tensor's SHA-256 by name, in JSON, and that of the whole. */
const OF_TENSORS = "checksums";
const OF_WHOLE = "checksum";

type Metadata = Readonly<Record<string, string>>;
type Entries = Iterable<readonly [string, TensorEntry]>;

/** Metadata with the SHA-256 of each tensor's bytes, and one of all these, the dtypes, the shapes and the other metadata. */
export function withChecksums(tensors: Entries, metadata: Metadata): Record<string, string> {
  const { sums, whole } = checksumsOf(tensors, metadata);
  return { ...metadata, [OF_TENSORS]: JSON.stringify(Object.fromEntries(sums)), [OF_WHOLE]: whole };
}

/**
 * Compares a file's contents with the checksums in its metadata; files of before there were any pass.
 *
 * Throws UserError naming the first tensor that differs, or what else does.
 */
export function verifyChecksums(path: string, { tensors, metadata }: SafetensorsFile): void {
  const { [OF_TENSORS]: ofTensors, [OF_WHOLE]: ofWhole, ...rest } = metadata;
  if (ofTensors === undefined && ofWhole === undefined) return;
  const { sums, whole } = checksumsOf(tensors, rest);
  const told = parsed(ofTensors);
  const [wrong] = [...sums].find(([name, sum]) => told.get(name) !== sum) ?? [];
  if (wrong === undefined && told.size === sums.size && whole === ofWhole) return;
  const what = wrong === undefined ? "metadata" : `tensor ${quoted(wrong)}`;
  throw new UserError({
    operation: "load checkpoint",
    argument: path,
    expected: "contents that agree with their checksums",
    received: `another ${what}`,
    remedy: "the file is damaged: use an earlier checkpoint or a copy",
  });
}

function checksumsOf(tensors: Entries, metadata: Metadata): { sums: Map<string, string>; whole: string } {
  const sums = new Map<string, string>();
  const described: unknown[] = [];
  for (const [name, { dtype, shape, data }] of tensors) {
    const sum = sha256(data);
    sums.set(name, sum);
    described.push([name, dtype, shape, sum]);
  }
  // Another program may write the same contents in another order.
  const parts = [...Object.entries(metadata), ...described].map((part) => JSON.stringify(part)).sort();
  return { sums, whole: sha256(parts.join("\n")) };
}

function parsed(text = ""): Map<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return new Map(typeof value === "object" && value !== null ? Object.entries(value) : []);
  } catch {
    return new Map();
  }
}

function sha256(data: Uint8Array | string): string {
  return createHash("sha256").update(data).digest("hex");
}
