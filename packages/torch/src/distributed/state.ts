import { createHash } from "node:crypto";
import { UserError } from "@peekaboo/files/errors";
import { noGrad } from "../autograd.js";
import { dtypeInfo } from "../dtype.js";
import * as ops from "../generated/ops.js";
import { keep, scope } from "../scope.js";
import { Tensor } from "../tensor.js";
import { ranksInWords } from "./diagnosis.js";
import type { ProcessGroup } from "./process-group.js";

/** Names and tensors, e.g. a module's `stateDict()`. */
export type NamedTensors = Iterable<readonly [string, Tensor]>;

export const BUCKET_BYTES = 25 * 2 ** 20;

/** The SHA-256, in hexadecimal, of the names, dtypes, shapes and bytes, whatever their order. */
export function stateHash(tensors: NamedTensors): string {
  return digest(tensors, true).toString("hex");
}

/** The same of names, dtypes and shapes alone. */
export function layoutHash(tensors: NamedTensors): string {
  return digest(tensors, false).toString("hex");
}

function digest(tensors: NamedTensors, contents: boolean): Buffer {
  const hash = createHash("sha256");
  const sorted = [...tensors].sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [name, tensor] of sorted) {
    hash.update(`${JSON.stringify(name)} ${tensor.dtype} [${tensor.shape.join()}]\n`);
    if (!contents) continue;
    const array = tensor.toTypedArray();
    hash.update(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
  }
  return hash.digest();
}

/**
 * Compares with rank 0's tensors, by {@link stateHash}.
 *
 * @throws {UserError}, on every rank, naming the ranks whose names, shapes or bytes differ.
 */
export async function assertSameState(group: ProcessGroup, tensors: NamedTensors): Promise<void> {
  const ranks = await deviants(group, stateHash(tensors));
  if (ranks.length > 0) throw differs("assertSameState", "the state", ranks, "start them from the same state");
}

/** As {@link assertSameState}, of names, dtypes and shapes: collectives of different sizes end processes. */
export async function assertSameLayout(
  group: ProcessGroup,
  tensors: NamedTensors,
  operation = "assertSameLayout",
): Promise<void> {
  const ranks = await deviants(group, layoutHash(tensors));
  if (ranks.length > 0) throw layoutDiffers(operation, ranks);
}

/** As {@link assertSameLayout}, blocking. */
export function assertSameLayoutNow(group: ProcessGroup, tensors: NamedTensors, operation: string): void {
  const ranks = scope(() => ranksUnlikeFirst(group.allGather(hashTensor(group, layoutHash(tensors))).wait()));
  if (ranks.length > 0) throw layoutDiffers(operation, ranks);
}

function layoutDiffers(operation: string, ranks: readonly number[]): UserError {
  return differs(operation, "names, dtypes and shapes", ranks, "build the same network everywhere");
}

function differs(operation: string, argument: string, ranks: readonly number[], remedy: string): UserError {
  return new UserError({
    operation,
    argument,
    expected: "rank 0's on every rank",
    received: `another on ${ranksInWords(ranks)}`,
    remedy,
  });
}

async function deviants(group: ProcessGroup, hash: string): Promise<number[]> {
  const mine = keep(hashTensor(group, hash));
  const all = group.allGather(mine);
  try {
    return ranksUnlikeFirst(await all);
  } finally {
    mine.dispose();
  }
}

/** NCCL's tensors are on this process's device. */
function hashTensor(group: ProcessGroup, hash: string): Tensor {
  return Tensor.from(new Uint8Array(Buffer.from(hash, "hex")), { device: group.backend === "nccl" ? "cuda" : "cpu" });
}

/** Uses the tensors up. */
function ranksUnlikeFirst(gathered: readonly Tensor[]): number[] {
  const hashes = gathered.map((tensor) => Buffer.from(tensor.toTypedArray() as Uint8Array).toString("hex"));
  for (const tensor of gathered) tensor.dispose();
  return hashes.flatMap((hash, rank) => (hash === hashes[0] ? [] : [rank]));
}

/**
 * Gives every rank the tensors of rank `root`, in place, in messages of `bucketBytes`.
 *
 * @throws {UserError} when the ranks' names, dtypes or shapes differ.
 */
export async function broadcastState(
  group: ProcessGroup,
  tensors: NamedTensors,
  { root = 0, bucketBytes = BUCKET_BYTES }: { root?: number; bucketBytes?: number } = {},
): Promise<void> {
  group.checkRank(root, "broadcastState");
  const named = [...tensors];
  await assertSameLayout(group, named, "broadcastState");
  const all = named.map(([, tensor]) => tensor);
  for (const bucket of bucketsOf(all, bucketBytes)) {
    const flat = keep(scope(() => noGrad(() => flatten(bucket))));
    try {
      await group.broadcast(flat, { root });
      scope(() => noGrad(() => unflatten(flat, bucket)));
    } finally {
      flat.dispose();
    }
  }
}

/** Lists of tensors of one dtype and device, with as many bytes at most, or of one tensor. */
function bucketsOf(tensors: readonly Tensor[], bucketBytes: number): Tensor[][] {
  const all: Tensor[][] = [];
  const open = new Map<string, { bucket: Tensor[]; bytes: number }>();
  for (const tensor of tensors) {
    const kind = kindOf(tensor);
    const size = tensor.numel * dtypeInfo(tensor.dtype).bytes;
    const last = open.get(kind);
    if (last !== undefined && last.bytes + size <= bucketBytes) {
      last.bucket.push(tensor);
      last.bytes += size;
    } else {
      const bucket = [tensor];
      all.push(bucket);
      open.set(kind, { bucket, bytes: size });
    }
  }
  return all;
}

function kindOf(tensor: Tensor): string {
  return `${tensor.dtype} ${tensor.device}`;
}

/** One vector of all their elements; what Gloo has no type for travels in a wider one. */
function flatten(tensors: readonly Tensor[]): Tensor {
  const flat = ops.cat(tensors.map((tensor) => tensor.detach().reshape(-1)));
  if (flat.dtype === "bool") return flat.to({ dtype: "uint8" });
  return flat.dtype === "int16" ? flat.to({ dtype: "int32" }) : flat;
}

function unflatten(flat: Tensor, tensors: readonly Tensor[]): void {
  let start = 0;
  for (const tensor of tensors) {
    tensor.detach().copy_(flat.narrow(0, start, tensor.numel).reshape(...tensor.shape));
    start += tensor.numel;
  }
}
