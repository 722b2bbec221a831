import type { SafetensorsDtype } from "./safetensors/index.js";

/** Arrays that hold a tensor's elements. */
export type TypedArray = Float32Array | Float64Array | BigInt64Array | Int32Array | Int16Array | Int8Array | Uint8Array;

interface DtypeInfo {
  /** c10::ScalarType's number. */
  code: number;
  bytes: number;
  array: new (buffer: ArrayBufferLike, byteOffset?: number, length?: number) => TypedArray;
  safetensors: SafetensorsDtype;
}

const DTYPES = {
  uint8: { code: 0, bytes: 1, array: Uint8Array, safetensors: "U8" },
  int8: { code: 1, bytes: 1, array: Int8Array, safetensors: "I8" },
  int16: { code: 2, bytes: 2, array: Int16Array, safetensors: "I16" },
  int32: { code: 3, bytes: 4, array: Int32Array, safetensors: "I32" },
  int64: { code: 4, bytes: 8, array: BigInt64Array, safetensors: "I64" },
  float32: { code: 6, bytes: 4, array: Float32Array, safetensors: "F32" },
  float64: { code: 7, bytes: 8, array: Float64Array, safetensors: "F64" },
  bool: { code: 11, bytes: 1, array: Uint8Array, safetensors: "BOOL" },
} as const satisfies Record<string, DtypeInfo>;

/** Element types that TypeScript reads and writes; bool is a byte of 0 or 1. */
export type Dtype = keyof typeof DTYPES;

const names = new Map<number, Dtype>(Object.entries(DTYPES).map(([name, { code }]) => [code, name as Dtype]));

/** What is known of an element type. */
export function dtypeInfo(dtype: Dtype): DtypeInfo {
  return DTYPES[dtype];
}

/** c10's number of an element type, or undefined for none. */
export function dtypeCode(dtype: Dtype | null | undefined): number | null | undefined {
  return dtype === undefined || dtype === null ? dtype : DTYPES[dtype].code;
}

/** The element type of c10's number; throws for one that TypeScript has no array for. */
export function dtypeOfCode(code: number): Dtype {
  const name = names.get(code);
  if (name === undefined)
    throw new TypeError(`dtype: expected a type with a JavaScript array, received c10 type ${code}`);
  return name;
}

/** The element type that an array's class stands for. */
export function dtypeOfArray(array: TypedArray): Dtype {
  if (array instanceof Float32Array) return "float32";
  if (array instanceof Float64Array) return "float64";
  if (array instanceof BigInt64Array) return "int64";
  if (array instanceof Int32Array) return "int32";
  if (array instanceof Int16Array) return "int16";
  if (array instanceof Int8Array) return "int8";
  return "uint8";
}

/** The element type of a safetensors name, or undefined where TypeScript has no array for it. */
export function dtypeOfSafetensors(name: SafetensorsDtype): Dtype | undefined {
  return (Object.keys(DTYPES) as Dtype[]).find((dtype) => DTYPES[dtype].safetensors === name);
}
