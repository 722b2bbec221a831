import {
  byteLengthOf,
  firstNonBoolean,
  itemSize,
  numel,
  type SafetensorsDtype,
  type TensorEntry,
} from "@peekaboo/files/safetensors";
import type { Allowance } from "./allowance.js";
import { PickleFault, PickleGlobal, PickleObject } from "./pickle/values.js";

/** A class of PyTorch's storages, e.g. torch.FloatStorage, which tells the dtype. */
export class StorageType extends PickleGlobal {
  readonly dtype: SafetensorsDtype;

  constructor(name: string, dtype: SafetensorsDtype) {
    super(name);
    this.dtype = dtype;
  }
}

/** A span of elements in one of the file's raw storages. */
export class Storage extends PickleObject {
  readonly dtype: SafetensorsDtype;
  /** The raw storage's name in the file. */
  readonly key: string;
  /** The first element in the raw storage. */
  readonly start: number;
  readonly length: number;

  constructor(dtype: SafetensorsDtype, key: string, start: number, length: number) {
    super();
    this.dtype = dtype;
    this.key = key;
    this.start = start;
    this.length = length;
  }
}

/** A tensor as the file describes it, its elements still in the storage; sizes, strides and offset are checked. */
export class StoredTensor extends PickleObject {
  readonly storage: Storage;
  /** In elements, as the strides. */
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];

  constructor(storage: Storage, offset: number, shape: readonly number[], strides: readonly number[]) {
    super();
    if (shape.length !== strides.length)
      throw new PickleFault("as many strides as sizes", `${strides.length} and ${shape.length}`);
    let last = offset;
    for (const [i, size] of shape.entries()) last += (size - 1) * (strides[i] ?? 0);
    if (!shape.includes(0) && !(last < storage.length)) {
      throw new PickleFault(
        `a tensor within its storage of ${storage.length} elements`,
        `one that reaches element ${last}`,
      );
    }
    if (byteLengthOf(storage.dtype, shape) === undefined)
      throw new PickleFault("a tensor of fewer than 2^53 bytes", `one of shape [${shape}]`);
    this.storage = storage;
    this.offset = offset;
    this.shape = shape;
    this.strides = strides;
  }

  get dtype(): SafetensorsDtype {
    return this.storage.dtype;
  }
}

/**
 * A stored tensor's elements, row-major: a view of `raw` where they lie so, else a copy.
 *
 * @param raw all bytes of the raw storage.
 * @throws {PickleFault} when `raw` is too short, a BOOL is neither 0 nor 1, or the copy is more than is allowed.
 */
export function materialise(tensor: StoredTensor, raw: Uint8Array, allowance: Allowance): TensorEntry {
  const { storage, offset, shape, strides, dtype } = tensor;
  const size = itemSize(dtype);
  const own = raw.subarray(storage.start * size, (storage.start + storage.length) * size);
  if (own.byteLength < storage.length * size) {
    throw new PickleFault(`a storage of ${(storage.start + storage.length) * size} bytes`, `${raw.byteLength}`);
  }
  const bytes = numel(shape) * size;
  let data: Uint8Array;
  if (isContiguous(shape, strides)) data = own.subarray(offset * size, offset * size + bytes);
  else {
    allowance.copy(bytes);
    data = gather(own, size, tensor);
  }
  if (dtype === "BOOL") allowance.copy(bytes);
  if (dtype === "BOOL" && firstNonBoolean(data) >= 0) throw new PickleFault("bool bytes of 0 or 1", "another");
  return { dtype, shape: [...shape], data };
}

function isContiguous(shape: readonly number[], strides: readonly number[]): boolean {
  if (shape.includes(0)) return true;
  let expected = 1;
  for (let d = shape.length - 1; d >= 0; d--) {
    const size = shape[d] ?? 1;
    if (size !== 1 && strides[d] !== expected) return false;
    expected *= size;
  }
  return true;
}

/** Copies element after element in row-major order; the last index moves fastest. */
function gather(source: Uint8Array, size: number, { offset, shape, strides }: StoredTensor): Uint8Array {
  const target = new Uint8Array(numel(shape) * size);
  const index = new Array<number>(shape.length).fill(0);
  let at = offset * size;
  for (let to = 0; to < target.byteLength; to += size) {
    for (let byte = 0; byte < size; byte++) target[to + byte] = source[at + byte] ?? 0;
    for (let d = shape.length - 1; d >= 0; d--) {
      const [extent, stride, moved] = [shape[d] ?? 1, (strides[d] ?? 0) * size, (index[d] ?? 0) + 1];
      at += stride;
      index[d] = moved;
      if (moved < extent) break;
      at -= extent * stride;
      index[d] = 0;
    }
  }
  return target;
}
