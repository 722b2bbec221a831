import { createHash } from "node:crypto";
import { readInBackground, readSafetensorsHeader } from "@peekaboo/files";
import { parseJson, quoted, UserError } from "@peekaboo/files/errors";
import type { SafetensorsFile, TensorEntry } from "@peekaboo/files/safetensors";
import { sha256 } from "../data/checksum.js";

/** The metadata's keys: every tensor's SHA-256 by name, in JSON, and that of the whole. */
const OF_TENSORS = "checksums";
const OF_WHOLE = "checksum";

/** Few enough pieces that a run's steps, between which they are looked at, leave time for all. */
const PIECE_BYTES = 2 ** 24;

type Metadata = Readonly<Record<string, string>>;
type Entries = Iterable<readonly [string, TensorEntry]>;

/** A tensor with the SHA-256 of its bytes, in hexadecimal digits. */
export interface SummedTensor extends Pick<TensorEntry, "dtype" | "shape"> {
  readonly sum: string;
}

/** Metadata with the SHA-256 of each tensor's bytes, and one of all these, the dtypes, the shapes and the other metadata. */
export function sealed(tensors: ReadonlyMap<string, SummedTensor>, metadata: Metadata): Record<string, string> {
  const sums = Object.fromEntries([...tensors].map(([name, { sum }]) => [name, sum]));
  return { ...metadata, [OF_TENSORS]: JSON.stringify(sums), [OF_WHOLE]: sumOfWhole(tensors, metadata) };
}

/**
 * Compares a file's contents with the checksums in its metadata; files of before there were any pass, unless they are `needed`.
 *
 * @throws {UserError} naming the first tensor that differs, or what else does.
 */
export function verifyChecksums(path: string, { tensors, metadata }: SafetensorsFile, { needed = false } = {}): void {
  if (!needed && !(OF_TENSORS in metadata) && !(OF_WHOLE in metadata)) return;
  const wrong = difference(summed(tensors), metadata);
  if (wrong === undefined) return;
  throw new UserError({
    operation: "load checkpoint",
    argument: quoted(path),
    expected: "contents that agree with their checksums",
    received: `another ${wrong}`,
    remedy: "the file is damaged: use an earlier checkpoint or a copy",
  });
}

/**
 * Reads a file that was just written and compares it with the checksums in it, while this thread goes on.
 *
 * @throws {UserError} when it can't be read, or reads otherwise than it was written.
 */
export async function verifyWritten(path: string): Promise<void> {
  const { tensors, metadata, dataOffset } = readSafetensorsHeader(path);
  const inOrder = [...tensors].sort(([, a], [, b]) => a.begin - b.begin);
  const hashes = inOrder.map(() => createHash("sha256"));
  let [position, tensor] = [0, 0];
  for await (const piece of readInBackground(path, dataOffset, PIECE_BYTES)) {
    const end = position + piece.byteLength;
    for (; tensor < inOrder.length; tensor++) {
      const { begin = 0, end: last = 0 } = inOrder[tensor]?.[1] ?? {};
      hashes[tensor]?.update(piece.subarray(Math.max(begin - position, 0), Math.max(last - position, 0)));
      if (last > end) break;
    }
    position = end;
  }
  const sums = new Map(inOrder.map(([name], i) => [name, hashes[i]?.digest("hex") ?? ""]));
  const found = [...tensors].map(
    ([name, { dtype, shape }]) => [name, { dtype, shape, sum: sums.get(name) ?? "" }] as const,
  );
  const wrong = difference(new Map(found), metadata);
  if (wrong === undefined) return;
  throw new UserError({
    operation: "save checkpoint",
    argument: quoted(path),
    expected: "a file that reads as it was written",
    received: `another ${wrong}`,
    remedy: "the disk or the memory is faulty; the checkpoint before is kept, and a resumed run goes back to it",
  });
}

/** What differs from the checksums in the metadata, in words. */
function difference(found: ReadonlyMap<string, SummedTensor>, metadata: Metadata): string | undefined {
  const { [OF_TENSORS]: ofTensors, [OF_WHOLE]: ofWhole, ...rest } = metadata;
  const told = parsed(ofTensors);
  const [wrong] = [...found].find(([name, { sum }]) => told.get(name) !== sum) ?? [];
  if (wrong !== undefined) return `tensor ${quoted(wrong)}`;
  return told.size === found.size && sumOfWhole(found, rest) === ofWhole ? undefined : "metadata";
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
    const value: unknown = parseJson(text, (received) => new Error(received));
    return new Map(typeof value === "object" && value !== null ? Object.entries(value) : []);
  } catch {
    return new Map();
  }
}
