import { quoted } from "@peekaboo/files/errors";
import { MAX_RANK, type SafetensorsDtype } from "@peekaboo/files/safetensors";
import { numpyGlobals } from "./pickle/numpy.js";
import { plainGlobals } from "./pickle/plain.js";
import { isSequence, isTuple, kindOf, PickleFault, PickleGlobal, type PickleValue } from "./pickle/values.js";
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

/** The names of PyTorch's dtypes, which a file may mention. */
const DTYPES = [
  ...["float64", "float32", "float16", "bfloat16", "complex32", "complex64", "complex128", "int64", "int32", "int16"],
  ...["int8", "uint8", "uint16", "uint32", "uint64", "bool", "float8_e4m3fn", "float8_e5m2"],
];

/** Everything that a file of PyTorch's may name: tensors, and beside them plain data, numpy's included. */
export const torchGlobals: ReadonlyMap<string, PickleGlobal> = new Map([
  ...plainGlobals,
  ...numpyGlobals,
  ...[
    new PickleGlobal("torch.Size", size),
    new PickleGlobal("torch.device", device),
    new PickleGlobal("torch.torch_version.TorchVersion", text),
    ...DTYPES.map((name) => new PickleGlobal(`torch.${name}`)),
    new PickleGlobal("torch._utils._rebuild_tensor", (args) => rebuildTensor(args, 4)),
    new PickleGlobal("torch._utils._rebuild_tensor_v2", (args) => rebuildTensor(args, 6)),
    new PickleGlobal("torch._utils._rebuild_parameter", rebuildParameter),
    ...Object.entries(STORAGE_CLASSES).map(
      ([dtype, name]) => new StorageType(`torch.${name}`, dtype as SafetensorsDtype),
    ),
  ].map((known) => [known.name, known] as const),
]);

/** torch.Size((2, 3)): a tuple. */
function size([sizes = []]: readonly PickleValue[]): PickleValue {
  if (!isSequence(sizes)) throw new PickleFault("a tuple of sizes", kindOf(sizes));
  return sizes;
}

/** torch.device("cuda", 0): its name, "cuda:0". */
function device([type, index]: readonly PickleValue[]): PickleValue {
  if (typeof type !== "string") throw new PickleFault("a device's type", kindOf(type));
  return index === undefined || index === null ? type : `${type}:${natural(index, "a device's number")}`;
}

/** torch.torch_version.TorchVersion("2.0"): its text. */
function text([value]: readonly PickleValue[]): PickleValue {
  if (typeof value !== "string") throw new PickleFault("a version's text", kindOf(value));
  return value;
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
