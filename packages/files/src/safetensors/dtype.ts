/** Bytes of one element by data type, under the names that a safetensors header gives them. */
const ITEM_SIZE = { F64: 8, I64: 8, F32: 4, I32: 4, F16: 2, BF16: 2, I16: 2, I8: 1, U8: 1, BOOL: 1 } as const;

/** The data types that are read and written; BOOL is one byte, 0 or 1. */
export type SafetensorsDtype = keyof typeof ITEM_SIZE;

/** The data types' names, for messages. */
export const DTYPE_NAMES = Object.keys(ITEM_SIZE).join(", ");

/** Whether a name is that of a supported data type. */
export function isDtype(name: unknown): name is SafetensorsDtype {
  return typeof name === "string" && Object.hasOwn(ITEM_SIZE, name);
}

/** Bytes of one element. */
export function itemSize(dtype: SafetensorsDtype): number {
  return ITEM_SIZE[dtype];
}

/** How many elements a tensor of a shape has. */
export function numel(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

/** The most dimensions that a tensor may have: as many as libtorch's kernels take. */
export const MAX_RANK = 64;

/** What {@link byteLengthOf} asks of a shape, for messages. */
export const SHAPE_RULE = `a shape of at most ${MAX_RANK} non-negative integers whose product is below 2^53 bytes`;

/**
 * Bytes of a tensor, or undefined for a shape that breaks SHAPE_RULE. A dimension of 0 excuses no other one:
 * strides are products of dimensions too.
 */
export function byteLengthOf(dtype: SafetensorsDtype, shape: readonly number[]): number | undefined {
  if (shape.length > MAX_RANK) return undefined;
  let bytes = itemSize(dtype);
  for (const size of shape) {
    if (!Number.isSafeInteger(size) || size < 0) return undefined;
    bytes *= size === 0 ? 1 : size;
    if (!Number.isSafeInteger(bytes)) return undefined;
  }
  return shape.includes(0) ? 0 : bytes;
}

/** The index of the first byte that is neither 0 nor 1, or -1: such bytes are undefined behaviour as a C++ bool. */
export function firstNonBoolean(data: Uint8Array): number {
  for (let index = 0; index < data.length; index++) {
    if ((data[index] ?? 0) > 1) return index;
  }
  return -1;
}
