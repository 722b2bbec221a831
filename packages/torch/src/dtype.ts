import { UserError } from "@peekaboo/files/errors";
import type { SafetensorsDtype } from "@peekaboo/files/safetensors";

/** Arrays that hold a tensor's elements. */
export type TypedArray = Float32Array | Float64Array | BigInt64Array | Int32Array | Int16Array | Int8Array | Uint8Array;

interface DtypeInfo {
  bytes: number;
  array: new (buffer: ArrayBufferLike, byteOffset?: number, length?: number) => TypedArray;
  safetensors: SafetensorsDtype;
}

const DTYPES = {
  uint8: { bytes: 1, array: Uint8Array, safetensors: "U8" },
  int8: { bytes: 1, array: Int8Array, safetensors: "I8" },
  int16: { bytes: 2, array: Int16Array, safetensors: "I16" },
  int32: { bytes: 4, array: Int32Array, safetensors: "I32" },
  int64: { bytes: 8, array: BigInt64Array, safetensors: "I64" },
  float32: { bytes: 4, array: Float32Array, safetensors: "F32" },
  float64: { bytes: 8, array: Float64Array, safetensors: "F64" },
  bool: { bytes: 1, array: Uint8Array, safetensors: "BOOL" },
} as const satisfies Record<string, DtypeInfo>;

/** Element types that TypeScript reads and writes; bool is a byte of 0 or 1. */
export type Dtype = keyof typeof DTYPES;

/** What is known of an element type. */
export function dtypeInfo(dtype: Dtype): DtypeInfo {
  return DTYPES[dtype];
}

/** The element type of libtorch's name. @throws {UserError} for one that JavaScript has no array for. */
export function dtypeOfName(name: string): Dtype {
  if (Object.hasOwn(DTYPES, name)) return name as Dtype;
  throw new UserError({
    operation: "read a tensor's dtype",
    argument: "the tensor",
    expected: `one of ${Object.keys(DTYPES).join(", ")}`,
    received: name,
    remedy: "JavaScript has no array for it: convert the tensor first",
  });
}

const DTYPE_OF_CLASS = new Map<string, Dtype>(
  (Object.keys(DTYPES) as Dtype[])
    .filter((dtype) => dtype !== "bool")
    .map((dtype) => [DTYPES[dtype].array.name, dtype]),
);

/** The element type that an array's class stands for. @throws {UserError} for a class that has none. */
export function dtypeOfArray(array: TypedArray): Dtype {
  const name = ArrayBuffer.isView(array) ? array[Symbol.toStringTag] : undefined;
  const dtype = DTYPE_OF_CLASS.get(name ?? "");
  if (dtype !== undefined) return dtype;
  throw new UserError({
    operation: "make a tensor",
    argument: "data",
    expected: `one of ${[...DTYPE_OF_CLASS.keys()].join(", ")}`,
    received: name ?? typeof array,
  });
}
