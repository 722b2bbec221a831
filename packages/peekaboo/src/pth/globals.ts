import { quoted } from "@peekaboo/torch/errors";
import { MAX_RANK, type SafetensorsDtype } from "@peekaboo/torch/safetensors";
import {
  isSequence,
  isTuple,
  kindOf,
  OrderedDict,
  PickleFault,
  PickleGlobal,
  type PickleValue,
} from "../pickle/values.js";
import { Storage, StorageType, StoredTensor } from "./tensor.js";

/** PyTorch's storage class of each dtype. */
export const STORAGE_CLASSES: Readonly<Record<SafetensorsDtype, string>> = {
  F64: "DoubleStorage",
  I64: "LongStorage",
  F32: "FloatStorage",
  I32: "IntStorage",
  F16: "HalfStorage",
  BF16: "BFloat16Storage",
  I16: "ShortStorage",
  I8: "CharStorage",
  U8: "ByteStorage",
  BOOL: "BoolStorage",
};

/** Everything that a file of PyTorch's may name: tensors and ordered dictionaries, no more. */
export const torchGlobals: ReadonlyMap<string, PickleGlobal> = new Map(
  [
    new PickleGlobal("collections.OrderedDict", orderedDict),
    new PickleGlobal("torch._utils._rebuild_tensor", (args) => rebuildTensor(args, 4)),
    new PickleGlobal("torch._utils._rebuild_tensor_v2", (args) => rebuildTensor(args, 6)),
    new PickleGlobal("torch._utils._rebuild_parameter", rebuildParameter),
    ...Object.entries(STORAGE_CLASSES).map(
      ([dtype, name]) => new StorageType(`torch.${name}`, dtype as SafetensorsDtype),
    ),
  ].map((known) => [known.name, known]),
);

/** OrderedDict() or OrderedDict([[key, value], …]). */
function orderedDict(args: readonly PickleValue[]): PickleValue {
  const [pairs = [], ...rest] = args;
  if (!isSequence(pairs) || rest.length > 0) throw new PickleFault("OrderedDict of a list of pairs", kindOf(args));
  const dict = new OrderedDict();
  for (const pair of pairs) {
    if (!isSequence(pair)) throw new PickleFault("a pair of key and value", kindOf(pair));
    const [key, value] = pair;
    if (key === undefined || value === undefined) throw new PickleFault("a pair of key and value", kindOf(pair));
    dict.set(key, value);
  }
  return dict;
}

/** (storage, offset, sizes, strides[, requires_grad, backward_hooks[, metadata]]): PyTorch's torch/_utils.py. */
function rebuildTensor(args: readonly PickleValue[], length: 4 | 6): StoredTensor {
  const [storage, offset, shape, strides, , , metadata = null] = args;
  if (args.length < length || args.length > (length === 6 ? 7 : 4))
    throw new PickleFault(`${length} arguments that describe a tensor`, `${args.length}`);
  if (!(storage instanceof Storage)) throw new PickleFault("a storage as a tensor's first argument", kindOf(storage));
  // It tells of conjugate and negative views, whose elements are not what the storage holds.
  if (metadata !== null && !(metadata instanceof Map && metadata.size === 0))
    throw new PickleFault("a tensor without lazy conjugation or negation", kindOf(metadata));
  return new StoredTensor(
    storage,
    natural(offset, "an offset"),
    naturals(shape, "sizes"),
    naturals(strides, "strides"),
  );
}

/** (data, requires_grad, backward_hooks): a parameter is its tensor. */
function rebuildParameter(args: readonly PickleValue[]): StoredTensor {
  const [tensor] = args;
  if (!(tensor instanceof StoredTensor)) throw new PickleFault("a parameter made of a tensor", kindOf(tensor));
  return tensor;
}

/**
 * The storage that a persistent id stands for: ("storage", class, key, device, elements), and in files of before 2020 a
 * sixth: None, or (view's key, offset, elements) for a part of that storage.
 */
export function storageOf(id: PickleValue): Storage {
  if (!isTuple(id) || id[0] !== "storage") throw new PickleFault("a reference to a storage", kindOf(id));
  const [, type, key, , elements, view = null] = id;
  if (!(type instanceof StorageType)) throw new PickleFault("a storage's class", kindOf(type));
  if (typeof key !== "string") throw new PickleFault("a storage's key", kindOf(key));
  const length = natural(elements, "a number of elements");
  if (view === null) return new Storage(type.dtype, key, 0, length);
  if (!isTuple(view)) throw new PickleFault("a part of a storage", kindOf(view));
  const [start, part] = [natural(view[1], "an offset"), natural(view[2], "a number of elements")];
  if (start + part > length)
    throw new PickleFault(
      `a part of storage ${quoted(key)} within its ${length} elements`,
      `one up to ${start + part}`,
    );
  return new Storage(type.dtype, key, start, part);
}

function naturals(values: PickleValue | undefined, what: string): number[] {
  if (!isTuple(values)) throw new PickleFault(`a tuple of ${what}`, kindOf(values));
  if (values.length > MAX_RANK) throw new PickleFault(`at most ${MAX_RANK} ${what}`, `${values.length}`);
  return values.map((value) => natural(value, what));
}

function natural(value: PickleValue | undefined, what: string): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw new PickleFault(`${what} of at least 0`, kindOf(value));
}
