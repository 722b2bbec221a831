import { createHash } from "node:crypto";
import { quoted, UserError } from "@peekaboo/torch/errors";
import type { SafetensorsFile, TensorEntry } from "@peekaboo/torch/safetensors";

/** The metadata's keys: every tensor's SHA-256 by name, in JSON, and that of the whole. */
const OF_TENSORS = "checksums";
const OF_WHOLE = "checksum";

type Metadata = Readonly<Record<string, string>>;
type Entries = Iterable<readonly [string, TensorEntry]>;

/** A tensor with the SHA-256 of its bytes, in hexadecimal digits. */
export interface SummedTensor extends Pick<TensorEntry, "dtype" | "shape"> {
  readonly sum: string;
}

/** Metadata with {@link sealed}'s checksums of tensors at hand. */
export function withChecksums(tensors: Entries, metadata: Metadata): Record<string, string> {
  return sealed(summed(tensors), metadata);
}

/** Metadata with the SHA-256 of each tensor's bytes, and one of all these, the dtypes, the shapes and the other metadata. */
export function sealed(tensors: ReadonlyMap<string, SummedTensor>, metadata: Metadata): Record<string, string> {
  const sums = Object.fromEntries([...tensors].map(([name, { sum }]) => [name, sum]));
  return { ...metadata, [OF_TENSORS]: JSON.stringify(sums), [OF_WHOLE]: sumOfWhole(tensors, metadata) };
}

/**
 * Compares a file's contents with the checksums in its metadata; files of before there were any pass.
 *
 * Throws UserError naming the first tensor that differs, or what else does.
 */
export function verifyChecksums(path: string, { tensors, metadata }: SafetensorsFile): void {
  const { [OF_TENSORS]: ofTensors, [OF_WHOLE]: ofWhole, ...rest } = metadata;
  if (ofTensors === undefined && ofWhole === undefined) return;
  const found = summed(tensors);
  const told = parsed(ofTensors);
  const [wrong] = [...found].find(([name, { sum }]) => told.get(name) !== sum) ?? [];
  if (wrong === undefined && told.size === found.size && sumOfWhole(found, rest) === ofWhole) return;
  const what = wrong === undefined ? "metadata" : `tensor ${quoted(wrong)}`;
  throw new UserError({
    operation: "load checkpoint",
    argument: path,
    expected: "contents that agree with their checksums",
    received: `another ${what}`,
    remedy: "the file is damaged: use an earlier checkpoint or a copy",
  });
}

function summed(tensors: Entries): Map<string, SummedTensor> {
  return new Map([...tensors].map(([name, { dtype, shape, data }]) => [name, { dtype, shape, sum: sha256(data) }]));
}

function sumOfWhole(tensors: ReadonlyMap<string, SummedTensor>, metadata: Metadata): string {
  const described = [...tensors].map(([name, { dtype, shape, sum }]) => [name, dtype, shape, sum]);
  // Another program may write the same contents in another order.
  const parts = [...Object.entries(metadata), ...described].map((part) => JSON.stringify(part)).sort();
  return sha256(parts.join("\n"));
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
